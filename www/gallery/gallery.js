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

/** The same in several languages. kind: publish, xadd, or record, which is kept, too (conf/record.lua). */
function programs(kind, key, json) {
	const quoted = `'${json}'`;
	return {
		publish: {
			Shell: `redis-cli PUBLISH ${key} ${quoted}`,
			Python: `redis.Redis().publish("${key}", ${quoted})`,
			PHP: `$redis->publish("${key}", ${quoted});`,
			"Node.js": `await redis.publish("${key}", ${quoted});`,
		},
		xadd: {
			Shell: `redis-cli XADD ${key} "*" data ${quoted}`,
			Python: `redis.Redis().xadd("${key}", {"data": ${quoted}})`,
			PHP: `$redis->xAdd("${key}", "*", ["data" => ${quoted}]);`,
			"Node.js": `await redis.xAdd("${key}", "*", {data: ${quoted}});`,
		},
		record: {
			Shell: `redis-cli --eval conf/record.lua ${key} ${key}:log , ${quoted} 200`,
			Python: `record = r.register_script(open("conf/record.lua").read())\nrecord(keys=["${key}", "${key}:log"], args=[${quoted}, 200])`,
			PHP: `$record = file_get_contents("conf/record.lua");\n$redis->eval($record, ["${key}", "${key}:log", ${quoted}, 200], 2);`,
			"Node.js": `await redis.eval(readFileSync("conf/record.lua", "utf8"),\n    {keys: ["${key}", "${key}:log"], arguments: [${quoted}, "200"]});`,
		},
	}[kind];
}

function block(title, text) {
	const details = element("details"), summary = element("summary", title), pre = element("pre", undefined, "code");
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

async function explain() {
	for (const how of document.querySelectorAll(".how")) {
		const {routes, publish, script} = how.dataset, blocks = [];
		const lines = await ini;
		if (routes) blocks.push(block("The routes", routes.split(" ").map(name => section(lines, name)).join("\n\n")));
		if (publish) {
			const [kind, key, json] = publish.split("|");
			for (const [language, code] of Object.entries(programs(kind, key, json))) blocks.push(block(language, code));
		}
		if (script) blocks.push(block("The page", await text(script)));
		blocks.slice(2, -1).forEach(one => one.open = false);
		how.replaceChildren(...blocks);
		how.dataset.state = "told";
	}
}

bar();
explain();
