// What the gallery's pages share: the one connection, the bar on top, and how each page is made.
// Whatever a message holds reaches a page as textContent only: a publisher cannot write HTML here.
import {Sluice} from "../sluice.js";

export const $ = id => document.getElementById(id);

// All subscriptions of a page, and of all tabs with a page of the gallery, share one connection.
export const sluice = new Sluice("/events", {mux: "/mux"});

const PAGES = [["dashboard", "Dashboard"], ["jobs", "Jobs"], ["notifications", "Notifications"],
	["chat", "Chat"], ["inspector", "Inspector"], ["patterns", "Patterns"]];

export function element(name, text, className = "") {
	const made = document.createElement(name);
	if (text !== undefined) made.textContent = text;
	if (className) made.className = className;
	return made;
}

export function clock(ms) {
	const time = element("time", new Date(ms).toLocaleTimeString([], {hour12: false}));
	time.dateTime = new Date(ms).toISOString();
	return time;
}

/** A line of a feed, newest first; not more than a screen can use. */
export function addLine(list, source, text, ms, most = 50) {
	const line = element("li");
	line.append(element("span", source, "source"), element("span", text, "text"), clock(ms));
	list.prepend(line);
	while (list.children.length > most) list.lastChild.remove();
}

// -- what the connection is doing -------------------------------------------------------------------

const pill = element("span", "connecting", "pill");

export function say(state, text = state) {
	pill.dataset.state = state;
	if (pill.textContent !== text) pill.textContent = text;
}

/** A subscription whose state the bar shows. */
export function follow(path, params, listener) {
	const one = sluice.subscribe(path, params);
	one.listen(listener);
	one.open = () => say("live");
	one.lost = () => say("connecting", "reconnecting");
	one.error = error => say("closed", error.message);
	return one;
}

function bar() {
	const header = element("header", undefined, "bar"), wrap = element("div", undefined, "wrap"), nav = element("nav");
	const home = element("a", "Sluice", "name"), skip = element("a", "Skip to the page", "skip");
	const here = location.pathname.match(/(\w+)\.html$/)?.[1];
	nav.setAttribute("aria-label", "Gallery");
	for (const [name, title] of PAGES) {
		const link = element("a", title);
		link.href = `${name}.html`;
		if (name === here) link.setAttribute("aria-current", "page");
		nav.append(link);
	}
	home.href = "../";
	skip.href = "#main";
	pill.id = "overall";
	pill.setAttribute("role", "status");
	say("connecting");
	wrap.append(home, nav, pill);
	header.append(wrap);
	document.body.prepend(skip, header);
}

// -- how it is made ---------------------------------------------------------------------------------

/** The same in several languages, each a program that can be pasted. kind: publish, xadd, or record, which is kept, too (conf/record.lua). */
function programs({redis_cli: cli, socket, tree}, kind, key, json) {
	const script = `${tree}/conf/record.lua`;
	const [shell, python, php, node] = {
		publish: [
			`PUBLISH ${key} '${json}'`,
			`r.publish("${key}", '${json}')`,
			`$r->publish("${key}", '${json}');`,
			`await r.publish("${key}", '${json}');`,
		],
		xadd: [
			`XADD ${key} "*" data '${json}'`,
			`r.xadd("${key}", {"data": '${json}'})`,
			`$r->xAdd("${key}", "*", ["data" => '${json}']);`,
			`await r.xAdd("${key}", "*", {data: '${json}'});`,
		],
		record: [
			`--eval ${script} ${key} ${key}:log , '${json}' 200`,
			`record = r.register_script(open("${script}").read())\nrecord(keys=["${key}", "${key}:log"], args=['${json}', 200])`,
			`$script = file_get_contents("${script}");\n$r->eval($script, ["${key}", "${key}:log", '${json}', 200], 2);`,
			`const script = readFileSync("${script}", "utf8");\n`
				+ `await r.eval(script, {keys: ["${key}", "${key}:log"], arguments: ['${json}', "200"]});`,
		],
	}[kind];
	return {
		Shell: `${cli} ${shell}`,
		Python: `import redis\nr = redis.Redis(unix_socket_path="${socket}")\n${python}`,
		PHP: `$r = new Redis();\n$r->connect("${socket}");\n${php}`,
		"Node.js": `import {createClient} from "redis";\n${kind === "record" ? 'import {readFileSync} from "node:fs";\n' : ""}`
			+ `const r = await createClient({socket: {path: "${socket}"}}).connect();\n${node}\nawait r.quit();`,
	};
}

function block(title, text) {
	const details = element("details"), summary = element("summary", title), pre = element("pre", undefined, title === "Shell" ? "code command" : "code");
	pre.tabIndex = 0;
	pre.setAttribute("aria-label", title);
	pre.append(element("code", text));
	details.append(summary, pre);
	details.open = true;
	return details;
}

/** The lines of one section, without the comments around it. */
export function section(ini, name) {
	const lines = ini.split("\n"), from = lines.indexOf(`[route ${name}]`);
	if (from < 0) return "";
	const to = lines.findIndex((line, i) => i > from && !line.trim());
	return lines.slice(from, to < 0 ? lines.length : to).join("\n");
}

export const text = async url => (await fetch(url)).text();
export const ini = text("/demo/demo.ini").catch(() => "");
const about = text("/demo/about").then(JSON.parse).catch(() => ({redis_cli: "redis-cli", socket: "/run/redis/redis-server.sock", tree: "."}));

async function explain() {
	for (const how of document.querySelectorAll(".how")) {
		const {routes, publish, script} = how.dataset, blocks = [];
		const lines = await ini;
		if (routes) blocks.push(block("The routes", routes.split(" ").map(name => section(lines, name)).join("\n\n")));
		if (publish) {
			const [kind, key, json] = publish.split("|");
			for (const [language, code] of Object.entries(programs(await about, kind, key, json))) blocks.push(block(language, code));
		}
		if (script) blocks.push(block("The page", await text(script)));
		blocks.slice(2, -1).forEach(one => one.open = false);
		how.replaceChildren(...blocks);
		how.dataset.state = "told";
	}
}

bar();
explain();
