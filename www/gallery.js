import {Sluice} from "./sluice.js";

const $ = id => document.getElementById(id);
const sluice = new Sluice("/events", {mux: "/mux", shared: false});

function element(name, text, className = "") {
	const made = document.createElement(name);
	if (text !== undefined) made.textContent = text;
	if (className) made.className = className;
	return made;
}

function clock(ms) {
	const time = element("time", new Date(ms).toLocaleTimeString());
	time.dateTime = new Date(ms).toISOString();
	return time;
}

/** A line of a feed, newest first; not more than a screen can use. */
function show(list, source, text, ms) {
	const line = element("li");
	line.append(element("span", source, "source"), element("span", text, "text"), clock(ms));
	list.prepend(line);
	while (list.children.length > 50) list.lastChild.remove();
}

function pill(state) {
	$("overall").dataset.state = state;
	$("overall").textContent = state;
}

// -- chat -------------------------------------------------------------------------------------------
// part chat

let room;

function enter(name) {
	room?.stop();
	$("chat-list").replaceChildren();
	room = sluice.subscribe("/chat/{room}", {room: name});
	room.listen(({json}) => show($("chat-list"), json.name, json.text, json.t));
	room.open = () => pill("live");
}

$("chat-form").addEventListener("submit", async event => {
	event.preventDefault();
	const message = {name: $("chat-name").value, text: $("chat-text").value};
	try {
		await sluice.publish("/chat/{room}", message, {room: $("room").value});
		$("chat-text").value = $("chat-error").textContent = "";
	} catch (error) {
		$("chat-error").textContent = error.message;
	}
});

// end chat

$("room").addEventListener("change", () => enter($("room").value));
enter($("room").value);

// -- notifications ----------------------------------------------------------------------------------
// part notes

const seen = {count: 0, replayed: 0, isBack: false};

const notes = sluice.subscribe("/notes");
notes.listen(({json, id}) => {
	show($("notes-list"), id, json.text, Number(id.split("-")[0]));
	$("badge").textContent = `${++seen.count} new`;
	if (seen.isBack) $("note-replayed").textContent = `${++seen.replayed} replayed`;
});

$("note-cut").addEventListener("click", async () => {
	sluice.disconnect();
	pill("closed");
	Object.assign(seen, {replayed: 0, isBack: false});
	for (let n = 1; n <= 3; n++) await sluice.publish("/notes", {text: `Sent while this page was away (${n} of 3)`});
	setTimeout(() => {
		seen.isBack = true;
		sluice.connect();
		setTimeout(() => seen.isBack = false, 2000);
	}, 3000);
});

// end notes

let sent = 0;
$("note-send").addEventListener("click", () => sluice.publish("/notes", {text: `Notification ${++sent}`}));
$("note-read").addEventListener("click", () => $("badge").textContent = `${seen.count = 0} new`);
notes.open = () => pill("live");

// -- work -------------------------------------------------------------------------------------------
// part work

const started = JSON.parse(localStorage.getItem("work") ?? "[]");

function watch(id) {
	const line = element("li"), title = element("b", `Job ${id}`), percent = element("span", "waiting", "percent");
	const bar = element("progress"), cancel = element("button", "Cancel");
	bar.max = 100;
	bar.value = 0;
	bar.setAttribute("aria-label", `Job ${id}`);
	cancel.type = "button";
	cancel.onclick = () => sluice.publish("/tasks/{id}/cancel", {}, {id});
	line.append(title, percent, bar, cancel);
	$("work-list").prepend(line);
	const job = sluice.subscribe("/tasks/{id}", {id});
	job.listen(({json}) => {
		bar.value = json.percent;
		percent.textContent = json.state === "running" ? `${json.percent} %` : json.state;
		line.className = json.state;
		cancel.hidden = json.state !== "running";
	});
}

$("work-form").addEventListener("submit", async event => {
	event.preventDefault();
	try {
		const {id} = await sluice.publish("/tasks", {megabytes: Number($("megabytes").value)});
		localStorage.setItem("work", JSON.stringify(started.concat(id).slice(-5)));
		started.push(id);
		watch(id);
	} catch (error) {
		$("work-error").textContent = error.message;
	}
});

started.slice(-5).forEach(watch);

// end work

// -- patterns ---------------------------------------------------------------------------------------
// part patterns

const percent = value => `${value} %`;
sluice.subscribe("/patterns/filter").listen(({json}) => $("filter-value").textContent = percent(json.cpu));
sluice.subscribe("/patterns/latest").listen(({json}) => $("latest-value").textContent = percent(json.cpu));
sluice.subscribe("/patterns/batch").listen(({json}) => {
	$("batch-value").textContent = json.batch.map(one => percent(one.data)).join(", ");
});

// end patterns

// -- how each is made -------------------------------------------------------------------------------

const block = (title, text) => {
	const head = element("div", undefined, "block-head"), pre = element("pre", undefined, "code");
	head.append(element("h3", title));
	pre.tabIndex = 0;
	pre.setAttribute("aria-label", title);
	pre.append(element("code", text));
	return [head, pre];
};

function section(ini, name) {
	const [, text] = ini.match(new RegExp(`(\\[route ${name}\\][^]*?)\\n\\n`)) ?? [];
	return text ?? "";
}

function part(script, name) {
	const [, text] = script.match(new RegExp(`// part ${name}\\n\\n([^]*?)\\n\\n// end ${name}`)) ?? [];
	return text ?? "";
}

const PUBLISHERS = {
	chat: 'redis-cli --eval conf/record.lua chat:lobby chat:lobby:log , \'{"name":"me","text":"hi","t":0}\' 200\n'
		+ 'PHP: $r->eval($script, ["chat:lobby", "chat:lobby:log", json_encode($m), 200], 2);',
	notes: 'redis-cli XADD demo:notes "*" data \'{"text":"hi"}\'\nPython: r.xadd("demo:notes", {"data": json.dumps(m)})',
	work: 'Python: r.register_script(record)(keys=[channel, channel + ":log"],\n    args=[json.dumps({"state": "running", "percent": 40}), 20])',
	patterns: 'redis-cli PUBLISH machine:metrics \'{"cpu":100}\'',
};

const [ini, script] = await Promise.all(["/demo/demo.ini", "gallery.js"].map(async url => (await fetch(url)).text()));
for (const how of document.querySelectorAll(".how")) {
	const {route, part: name} = how.dataset;
	how.append(...block("The routes", route.split(" ").map(one => section(ini, one)).join("\n\n")),
		...block("From a shell or a program", PUBLISHERS[name]), ...block("The page", part(script, name)));
}
