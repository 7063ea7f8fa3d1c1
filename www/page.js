// The first page. Plain EventSource, no library: four routes of conf/demo/demo.ini, drawn as they come.
// Whatever a message holds reaches the page as textContent only: a publisher cannot write HTML here.
import { readStream } from "./gallery/raw.js";

const $ = (id) => document.getElementById(id);
const calm = (fn) => { try { return fn(); } catch { return undefined; } };
const parse = (text) => calm(() => JSON.parse(text));
const clock = (at) => new Date(at).toLocaleTimeString([], { hour12: false });

function element(tag, className, text) {
	const made = document.createElement(tag);
	if (className) made.className = className;
	if (text !== undefined) made.textContent = text;
	return made;
}

// -- connections ---------------------------------------------------------------------------------
// An opener takes a path and tell(), calls tell({state, text}) and tell({frame}), and returns a function
// that closes. A frame is {name, data, id, at, raw}.

const NAMES = ["message", "stream-open", "stream-reset", "stream-end", "stream-done", "keep-alive"];
const AGAIN_MS = 2000;

function stateOf(frame) {
	const reason = parse(frame.data)?.reason ?? "";
	switch (frame.name) {
	case "stream-open": return { state: "live", text: "live" };
	case "stream-reset": return { state: "live", text: `live, missed some (${reason})` };
	case "stream-end": return { state: "connecting", text: `ended (${reason})` };
	case "stream-done": return { state: "closed", text: `over (${reason})` };
	}
	return null;
}

function openEventSource(path, tell) {
	let source, timer;
	const open = () => {
		tell({ state: "connecting", text: "connecting" });
		source = new EventSource(path);
		// The head comes when Redis has confirmed, or late when Redis is away; stream-open tells which.
		source.onopen = () => tell({ state: "connecting", text: "waiting for Redis" });
		source.onerror = () => {
			if (source.readyState !== EventSource.CLOSED) {
				tell({ state: "connecting", text: "reconnecting" });
				return;
			}
			// EventSource gives up at an error status, as while Sluice restarts. We do not.
			tell({ state: "closed", text: "refused, trying again" });
			timer = setTimeout(open, AGAIN_MS);
		};
		for (const name of NAMES) {
			source.addEventListener(name, (event) => {
				if (event.data === undefined) return;
				tell({ frame: { name, data: event.data, id: event.lastEventId, at: Date.now() } });
			});
		}
	};
	open();
	return () => { clearTimeout(timer); source.close(); };
}

function openRaw(path, tell) {
	const ending = new AbortController();
	const read = async () => {
		tell({ state: "connecting", text: "connecting" });
		const init = { headers: { Accept: "text/event-stream" }, signal: ending.signal };
		await readStream(path, init, (frame) => tell({ frame: { ...frame, at: Date.now() } }));
	};
	(async () => {
		while (!ending.signal.aborted) {
			const trouble = await read().then(() => "reconnecting", (error) => error.message);
			if (ending.signal.aborted) return;
			tell({ state: "closed", text: trouble });
			await new Promise((resume) => setTimeout(resume, AGAIN_MS));
		}
	})();
	return () => ending.abort();
}

// A browser opens six HTTP/1.1 connections to a host, over all its tabs, and two of these pages would
// need eight. So one tab holds the connection of a path and tells the others; when it goes, the next takes
// over.
function shared(path, opener, tell) {
	if (!navigator.locks || !window.BroadcastChannel) return opener(path, tell);
	const name = `${opener.name} ${path}`;
	const bus = new BroadcastChannel(name);
	const waiting = new AbortController();
	let leads = false, last = { state: "connecting", text: "connecting" }, close, release;

	bus.onmessage = ({ data }) => {
		if (leads && data.asks) bus.postMessage(last);
		if (!leads && !data.asks) tell(data);
	};
	tell(last);
	bus.postMessage({ asks: true });
	navigator.locks.request(name, { signal: waiting.signal }, () => {
		leads = true;
		close = opener(path, (news) => {
			last = news.state ? news : stateOf(news.frame) ?? last;
			bus.postMessage(news);
			tell(news);
		});
		return new Promise((resolve) => { release = resolve; });
	}).catch(() => {});
	return () => { waiting.abort(); close?.(); release?.(); bus.close(); };
}

// -- what each connection is doing ---------------------------------------------------------------

const SILENT_MS = 40000;		// two heartbeats and a half
const pills = new Map();

function follow(name, path, opener, show) {
	const pill = document.querySelector(`[data-pill="${name}"]`);
	const mine = { state: "connecting", text: "connecting", heard: Date.now() };
	const set = (news) => {
		Object.assign(mine, news);
		paint(pill, mine);
		paintOverall();
	};
	pills.set(name, { mine, set });
	return shared(path, opener, (news) => {
		mine.heard = Date.now();
		if (news.state) {
			set({ state: news.state, text: news.text });
			return;
		}
		const about = stateOf(news.frame) ?? (mine.state === "live" ? null : { state: "live", text: "live" });
		if (about && news.frame.name) set(about);
		if (news.frame.name === "keep-alive") beat(pill);
		const isEvent = news.frame.name && !NAMES.slice(1).includes(news.frame.name);
		if (isEvent) count(news.frame);
		if (isEvent || opener === openRaw) show(news.frame);
	});
}

function paint(pill, { state, text }) {
	pill.dataset.state = state;
	if (pill.textContent !== text) pill.textContent = text;
}

function beat(pill) {
	pill.classList.remove("beat");
	requestAnimationFrame(() => pill.classList.add("beat"));
}

function paintOverall() {
	const all = [...pills.values()].map(({ mine }) => mine);
	const worst = all.find((one) => one.state === "closed") ?? all.find((one) => one.state !== "live");
	if (paused) paint($("overall"), { state: "connecting", text: "paused" });
	else paint($("overall"), worst ?? { state: "live", text: "live" });
}

setInterval(() => {
	for (const { mine, set } of pills.values()) {
		if (mine.state === "live" && Date.now() - mine.heard > SILENT_MS)
			set({ state: "connecting", text: "silent" });
	}
}, 5000);

// -- figures, pause ------------------------------------------------------------------------------

const DELAYS = 200;
const SETTLED_MS = 2000;		// before, some may be from the last minute
const delays = [];
let events = 0, paused = false;

// Publishers may put the time into "t"; the clocks must agree, as on one machine they do.
function delayOf(frame) {
	const t = parse(frame.data)?.t;
	return typeof t === "number" ? Math.max(0, frame.at - t) : null;
}

function count(frame) {
	events += 1;
	const delay = delayOf(frame);
	if (delay !== null && performance.now() > SETTLED_MS) delays.push(delay);
	if (delays.length > DELAYS) delays.shift();
	settle(frame);
	lastFrame = frame;
	draw("figures", drawFigures);
}

let lastFrame = null;

function drawFigures() {
	$("count").textContent = events.toLocaleString();
	$("last").textContent = clock(lastFrame.at);
	if (!delays.length) return;
	const median = [...delays].sort((a, b) => a - b)[delays.length >> 1];
	$("delay").textContent = median < 1 ? "< 1 ms" : `${median} ms`;
}

// A thousand events between two pictures cost one drawing.
const due = new Map();

function draw(what, how) {
	if (!due.size && !paused) requestAnimationFrame(drawAll);
	due.set(what, how);
}

function drawAll() {
	if (paused) return;
	const now = [...due.values()];
	due.clear();
	for (const how of now) how();
}

$("pause").addEventListener("click", () => {
	paused = !paused;
	$("pause").setAttribute("aria-pressed", String(paused));
	if (!paused && due.size) requestAnimationFrame(drawAll);
	paintOverall();
});

// Keeps the newest `most` items, newest first; more than that is never built.
function newestFirst(list, most, build) {
	let waiting = [];
	return (item) => {
		waiting.push(item);
		if (waiting.length > most) waiting.shift();
		draw(list, () => {
			list.querySelector(".empty")?.remove();
			for (const one of waiting) list.prepend(build(one));
			waiting = [];
			while (list.children.length > most) list.lastElementChild.remove();
		});
	};
}

// -- charts --------------------------------------------------------------------------------------

const MINUTE = 60000;
const BELOW = 18;			// px for the words under the chart

function svg(tag, attributes, parent) {
	const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	parent?.append(made);
	return made;
}

class Chart {
	// keys: the fields drawn. top(points): the value at the upper edge. say(value): in words.
	constructor(host, readout, { keys, top, say }) {
		Object.assign(this, { host, readout, keys, top, say, points: [], picked: null });
		this.svg = svg("svg", { "aria-hidden": "true" }, host);
		this.lines = [0, 0.5, 1].map(() => svg("line", { class: "grid" }, this.svg));
		this.area = svg("path", { class: "area" }, this.svg);
		this.paths = keys.map((_, i) => svg("path", { class: i ? "second" : "first" }, this.svg));
		this.cross = svg("line", { class: "cross" }, this.svg);
		this.words = [0, 1, 2, 3].map(() => svg("text", {}, this.svg));
		new ResizeObserver(() => this.draw()).observe(host);
		host.addEventListener("pointermove", (event) => {
			const { left, width } = host.getBoundingClientRect();
			this.pick(Math.min(1, Math.max(0, (event.clientX - left) / width)));
		});
		host.addEventListener("pointerleave", () => this.pick(null));
		host.addEventListener("blur", () => this.pick(null));
		host.addEventListener("keydown", (event) => {
			const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
			if (!step) return;
			event.preventDefault();
			this.pick(Math.min(1, Math.max(0, (this.picked ?? 1) + step)));
		});
	}

	show(points) {
		this.points = points;
		this.draw();
	}

	pick(where) {
		this.picked = where;
		this.draw();
	}

	draw() {
		const width = this.host.clientWidth, height = this.host.clientHeight - BELOW;
		if (!this.points.length || width <= 0) return;
		const now = this.points.at(-1).t, top = this.top(this.points);
		const x = (p) => width * (1 - (now - p.t) / MINUTE);
		const y = (value) => height * (1 - Math.min(value / top, 1));

		this.svg.setAttribute("viewBox", `0 0 ${width} ${height + BELOW}`);
		this.lines.forEach((line, i) => {
			for (const [name, value] of Object.entries({ x1: 0, x2: width, y1: height * i / 2, y2: height * i / 2 }))
				line.setAttribute(name, value);
		});
		this.word(0, this.say(top), 2, 11);
		this.word(1, this.say(top / 2), 2, height / 2 + 11);
		this.word(2, "1 min ago", 0, height + BELOW - 3);
		this.word(3, "now", width, height + BELOW - 3, "end");
		this.keys.forEach((key, i) => {
			const way = "M" + this.points.map((p) => `${x(p).toFixed(1)} ${y(p[key]).toFixed(1)}`).join("L");
			this.paths[i].setAttribute("d", way);
			if (!i) this.area.setAttribute("d", `${way}V${height}H${x(this.points[0]).toFixed(1)}Z`);
		});
		this.drawReadout(now, width, height, x);
	}

	drawReadout(now, width, height, x) {
		const at = this.picked === null ? now : now - MINUTE * (1 - this.picked);
		const near = this.points.reduce((a, b) => Math.abs(b.t - at) < Math.abs(a.t - at) ? b : a);
		const ago = Math.round((now - near.t) / 1000);
		this.readout.textContent = this.keys.map((key) => this.say(near[key])).join(" · ") +
			(this.picked === null ? "" : `, ${ago} s ago`);
		this.cross.setAttribute("visibility", this.picked === null ? "hidden" : "visible");
		for (const [name, value] of Object.entries({ x1: x(near), x2: x(near), y1: 0, y2: height }))
			this.cross.setAttribute(name, value);
	}

	word(i, text, x, y, anchor = "start") {
		this.words[i].textContent = text;
		this.words[i].setAttribute("x", x);
		this.words[i].setAttribute("y", y);
		this.words[i].setAttribute("text-anchor", anchor);
	}
}

// -- this machine --------------------------------------------------------------------------------

const percent = (value) => `${Math.round(value)} %`;

function bytes(value) {
	const units = ["B", "kB", "MB", "GB", "TB"];
	const i = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(value, 1)) / 3));
	const size = value / 1000 ** i;
	return `${size.toFixed(i && size < 10 ? 1 : 0)} ${units[i]}`;
}

// The next 1, 2 or 5 times a power of ten.
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(value));
	return power * [1, 2, 5, 10].find((n) => n * power >= value);
}

const cpuChart = new Chart($("cpu-chart"), $("cpu-readout"), { keys: ["cpu"], top: () => 100, say: percent });
const netChart = new Chart($("net-chart"), $("net-readout"), {
	keys: ["received", "sent"],
	top: (points) => roundUp(Math.max(2000, ...points.flatMap((p) => [p.received, p.sent]))),
	say: (value) => `${bytes(value)}/s`,
});

// A reload keeps the last minute.
let points = (parse(calm(() => sessionStorage.getItem("machine")) ?? "[]") ?? [])
	.filter((p) => Date.now() - p.t < MINUTE);
addEventListener("pagehide", () => calm(() => sessionStorage.setItem("machine", JSON.stringify(points))));

function tile(id, value, under) {
	$(id).replaceChildren(value, element("small", "", under));
}

function showMachine(frame) {
	const now = parse(frame.data);
	if (!Number.isFinite(now?.cpu)) return;
	for (const key of ["received", "sent", "load", "memory", "memory_total", "cores"])
		if (!Number.isFinite(now[key])) now[key] = points.at(-1)?.[key] ?? 0;
	// What is sent first is from the last minute: each has its own time.
	const t = Number.isFinite(now.t) && Math.abs(frame.at - now.t) < MINUTE ? now.t : frame.at;
	if (points.some((p) => p.t === t)) return;
	points.push({ ...now, cpu: Math.min(100, Math.max(0, now.cpu)), t });
	points = points.filter((p) => frame.at - p.t < MINUTE);
	draw("machine", drawMachine);
}

function drawMachine() {
	const now = points.at(-1);
	tile("cpu", percent(now.cpu), now.cores === 1 ? "of 1 core" : `of ${now.cores} cores`);
	tile("load", now.load.toFixed(2), "runnable, average");
	tile("memory", bytes(now.memory), `of ${bytes(now.memory_total)}`);
	tile("network", `${bytes(now.received)}/s`, "with the loopback");
	cpuChart.show(points);
	netChart.show(points);
}

setInterval(() => {
	const now = points.at(-1);
	if (!now || paused) return;
	$("cpu-chart").setAttribute("aria-label", `Processor use over the last minute, now ${percent(now.cpu)}`);
	$("net-chart").setAttribute("aria-label", `Network over the last minute, now ${bytes(now.received)} ` +
		`received and ${bytes(now.sent)} sent per second`);
}, 10000);

// -- jobs ----------------------------------------------------------------------------------------

const MOST_JOBS = 6;
const jobs = new Map();

function jobItem(name) {
	const item = element("li"), title = element("b", "", name), step = element("span", "step");
	const number = element("span", "percent"), bar = element("progress");
	bar.max = 100;
	bar.setAttribute("aria-label", name);
	title.append(step);
	item.append(title, number, bar);
	return { item, step, number, bar };
}

function showJob(frame) {
	const job = parse(frame.data);
	const done = Number(job?.percent);
	if (!Number.isFinite(done)) return;
	const name = String(job.job ?? "a job without a name").slice(0, 64);
	if (!jobs.has(name) && jobs.size >= MOST_JOBS) return;
	draw(`job ${name}`, () => {
		if (!jobs.has(name)) {
			jobs.set(name, jobItem(name));
			$("job-list").append(jobs.get(name).item);
		}
		const parts = jobs.get(name);
		parts.bar.value = Math.min(100, Math.max(0, done));
		parts.number.textContent = done >= 100 ? "done" : percent(done);
		parts.step.textContent = done >= 100 ? "" : String(job.step ?? "").slice(0, 80);
		parts.item.classList.toggle("done", done >= 100);
	});
}

// -- feed ----------------------------------------------------------------------------------------

$("feed-list").append(element("li", "empty", "The first item comes in a moment."));

const showFeed = newestFirst($("feed-list"), 30, (frame) => {
	const value = parse(frame.data);
	const item = element("li"), time = element("time", "", clock(frame.at));
	time.dateTime = new Date(frame.at).toISOString();
	item.append(element("span", "source", String(value?.source ?? "–").slice(0, 32)),
		element("span", "text", String(value?.text ?? frame.data).slice(0, 300)), time);
	return item;
});

// -- inspector -----------------------------------------------------------------------------------

const NOISE = /^(machine:metrics|job:(build|tests|backup):progress)$/;
let hiddenFrames = 0, closeInspector = null;

const addFrame = newestFirst($("frames"), 60, (frame) => {
	const item = element("li"), meta = element("div", "meta"), delay = delayOf(frame);
	const isOurs = !frame.name || NAMES.slice(1).includes(frame.name);
	item.classList.toggle("own", frame.isOwn === true);
	item.classList.toggle("ours", isOurs);
	meta.append(element("b", "", frame.name || "fields without an event"), element("time", "", clock(frame.at)));
	if (frame.id) meta.append(element("span", "", `id ${frame.id}`));
	meta.append(element("span", "", `${new TextEncoder().encode(frame.raw).length + 2} bytes`));
	if (frame.ownDelay !== undefined || delay !== null)
		meta.append(element("span", "delay", `${frame.ownDelay ?? delay} ms`));
	item.append(meta, element("pre", "", frame.raw.slice(0, 4000)));
	return item;
});

function showFrame(frame) {
	if ($("quiet").checked && $("route").value === "/events/everything" && NOISE.test(frame.name)) {
		hiddenFrames += 1;
		draw("hidden", () => {
			$("hidden-frames").textContent = "Frames as they come over the wire, newest first. " +
				`${hiddenFrames.toLocaleString()} hidden.`;
		});
		return;
	}
	addFrame(frame);
}

function inspect() {
	closeInspector?.();
	$("frames").replaceChildren(element("li", "empty", "Waiting for the first frame."));
	closeInspector = follow("inspector", $("route").value, openRaw, showFrame);
}

$("route").addEventListener("change", inspect);
$("clear").addEventListener("click", () => $("frames").replaceChildren());

// -- publish -------------------------------------------------------------------------------------

const WAIT_MS = 5000;
let mine = null;			// what we have published and not yet seen: {text, since}

// Is this the event of the publish box? Then say how long its way round was.
function settle(frame) {
	if (!mine || JSON.stringify(parse(frame.data)) !== mine.text) return;
	frame.isOwn = true;
	mine.ms ??= performance.now() - mine.since;
	frame.ownDelay = mine.ms.toFixed(1);
	$("publish-done").textContent = `Here again after ${frame.ownDelay} ms, by way of Redis and Sluice.`;
}

function complain(text, field) {
	$("publish-error").textContent = text;
	for (const id of ["channel", "data"]) $(id).setAttribute("aria-invalid", String(id === field));
	if (field) $(field).focus();
}

async function publish(event) {
	event.preventDefault();
	complain("");
	$("publish-done").textContent = "";
	const channel = $("channel").value.trim(), data = parse($("data").value);
	if (!channel) return complain("Which channel?", "channel");
	if (data === undefined) return complain("The data is not JSON. Text stands in double quotes.", "data");

	mine = { text: JSON.stringify(data), since: performance.now() };
	try {
		const answer = await fetch("/demo/publish", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ channel, data }), signal: AbortSignal.timeout(WAIT_MS),
		});
		const said = await answer.json().catch(() => null);
		if (!answer.ok) complain(said?.detail ?? `The server answered ${answer.status}.`, "channel");
		else if (!said?.receivers) $("publish-done").textContent = "Published. Nobody was listening on this channel.";
		else if (mine.ms === undefined) $("publish-done").textContent = "Published.";
	} catch {
		complain("The server cannot be reached. Is make run still running?");
	}
}

function showShell() {
	$("shell").textContent = publishCommand($("channel").value.trim(), $("data").value.trim());
}

$("publish").addEventListener("submit", publish);
$("data").addEventListener("keydown", (event) => {
	if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("publish").requestSubmit();
});
for (const button of document.querySelectorAll("[data-preset]")) {
	button.addEventListener("click", () => {
		const [channel, ...data] = button.dataset.preset.split("|");
		$("channel").value = channel;
		$("data").value = data.join("|");
		complain("");
		showShell();
	});
}
for (const id of ["channel", "data"]) $(id).addEventListener("input", showShell);

// -- how each panel is made ----------------------------------------------------------------------

let redisCli = "redis-cli";

const quoted = (text) => /^[\w.:@%+=,/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function publishCommand(channel, data) {
	return `${redisCli} PUBLISH ${quoted(channel)} ${quoted(data)}`;
}

// The lines of one section, without the comments around it.
function sectionOf(ini, name) {
	const lines = ini.split("\n"), from = lines.indexOf(`[route ${name}]`);
	if (from < 0) return [];
	const to = lines.findIndex((line, i) => i > from && !line.trim());
	return lines.slice(from, to < 0 ? lines.length : to);
}

function iniCode(lines) {
	const code = element("code");
	lines.forEach((line, i) => {
		const [key, ...value] = line.split("=");
		if (i) code.append("\n");
		if (value.length) code.append(`${key}=`, element("span", "value", value.join("=")));
		else code.append(element("span", "section", line));
	});
	return code;
}

function block(title, code, kind = "code") {
	const head = element("div", "block-head"), copy = element("button", "", "Copy"), pre = element("pre", kind);
	pre.append(code);
	pre.tabIndex = 0;
	pre.setAttribute("aria-label", title);
	copy.type = "button";
	copy.setAttribute("aria-label", `Copy: ${title}`);
	copy.addEventListener("click", async () => {
		const done = await navigator.clipboard?.writeText(code.textContent).then(() => true, () => false);
		copy.textContent = done ? "Copied" : "Select it";
		setTimeout(() => { copy.textContent = "Copy"; }, 1500);
	});
	head.append(element("h3", "", title), copy);
	return [head, pre];
}

async function explain() {
	const [ini, about] = await Promise.all([
		fetch("/demo/demo.ini").then((answer) => answer.ok ? answer.text() : "").catch(() => ""),
		fetch("/demo/about").then((answer) => answer.json()).catch(() => ({})),
	]);
	redisCli = about.redis_cli ?? redisCli;
	for (const aside of document.querySelectorAll("[data-route]")) {
		const lines = sectionOf(ini, aside.dataset.route);
		const path = `/events/${aside.dataset.route}`;
		const [channel, ...data] = aside.dataset.publish.split("|");
		aside.replaceChildren(
			...(lines.length ? block("The route, all of it", iniCode(lines)) : []),
			...block("Publish to it", element("code", "", publishCommand(channel, data.join("|"))), "code command"),
			...block("Watch it", element("code", "", `curl -N ${location.origin}${path}`), "code command"));
	}
	showShell();
}

// ------------------------------------------------------------------------------------------------

if (points.length) draw("machine", drawMachine);
follow("metrics", "/events/metrics", openEventSource, showMachine);
follow("jobs", "/events/jobs", openEventSource, showJob);
follow("feed", "/events/feed", openEventSource, showFeed);
inspect();
explain();
