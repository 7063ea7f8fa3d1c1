// What a bundler does for a page: React's own files, which are no modules, under the name "react".
const FILES = {
	scheduler: "scheduler/cjs/scheduler.development.js",
	react: "react/cjs/react.development.js",
	"react-dom": "react-dom/cjs/react-dom.development.js",
	"react-dom/client": "react-dom/cjs/react-dom-client.development.js",
};
const made = {};

globalThis.process ??= {env: {NODE_ENV: "development"}};
for (const [name, file] of Object.entries(FILES)) {
	const module = {exports: {}};
	new Function("module", "exports", "require", await (await fetch(`/clients/node_modules/${file}`)).text())(module, module.exports, other => made[other]);
	made[name] = module.exports;
}

export default made.react;
export const {useEffect, useRef, useState, createElement, StrictMode} = made.react;
export const {createRoot} = made["react-dom/client"];
