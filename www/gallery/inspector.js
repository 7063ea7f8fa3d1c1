import {$, clock, element, ini, say, section, text} from "./gallery.js";
import {readStream} from "./raw.js";

const MOST = 60, AGAIN_MS = 1000;
const seen = {frames: 0, bytes: 0, delays: [], reconnections: 0};
let ending = null, lastId = "";

const parse = data => {
	try {
		return JSON.parse(data);
	} catch {
		return null;
	}
};
const length = raw => new TextEncoder().encode(raw).length + 2; // with its blank line

function show({name, id, data, raw}) {
	const at = Date.now(), t = parse(data)?.t, item = element("li"), meta = element("div", undefined, "meta");
	if (id) lastId = id;
	seen.frames++;
	seen.bytes += length(raw);
	if (typeof t === "number" && t > 1e12) seen.delays = [...seen.delays, Math.max(0, at - t)].slice(-200);
	meta.append(element("b", name || "fields without an event"), clock(at), element("span", `${length(raw)} bytes`));
	if (id) meta.append(element("span", `id ${id}`));
	item.className = /^(stream-|keep-alive|$)/.test(name) ? "ours" : "";
	item.append(meta, element("pre", raw.slice(0, 4000)));
	$("frames").prepend(item);
	while ($("frames").children.length > MOST) $("frames").lastChild.remove();
	tell(name === "stream-open" ? "live" : undefined);
}

function tell(state) {
	const median = [...seen.delays].sort((a, b) => a - b)[seen.delays.length >> 1];
	$("frames-count").textContent = seen.frames;
	$("bytes").textContent = seen.bytes;
	$("delay").textContent = median === undefined ? "–" : `${median} ms`;
	$("reconnections").textContent = seen.reconnections;
	if (!state) return;
	$("state").textContent = state;
	say(state === "live" ? "live" : state === "connecting" ? "connecting" : "closed", state);
}

/** As EventSource does it, but with the bytes. */
async function open(path) {
	const {signal} = ending = new AbortController();
	for (let n = 0; !signal.aborted; n++) {
		tell("connecting");
		const headers = {Accept: "text/event-stream", ...(lastId && {"Last-Event-ID": lastId})};
		const state = await readStream(path, {headers, signal}, show).then(() => "ended", error => error.message);
		if (signal.aborted) return;
		tell(state);
		if (/^(204|4\d\d)/.test(state)) return;
		await new Promise(resolve => setTimeout(resolve, AGAIN_MS));
		seen.reconnections++;
	}
}

function stop() {
	ending?.abort();
	tell("stopped");
}

/** The section whose path this is: a part in braces stands for anything. */
async function showRoute(path) {
	const names = [...(await ini).matchAll(/^\[route (\w+)\]$/gm)].map(([, name]) => name);
	const paths = names.map(name => [name, section(lines, name).match(/^path = (.*)$/m)?.[1] ?? ""]);
	const [name] = paths.find(([, one]) => new RegExp(`^${one.replace(/{\w+}/g, "[^/]+")}$`).test(path.split("?")[0])) ?? [];
	$("route").textContent = name ? section(lines, name) : "No route has this path.";
	$("curl").textContent = `curl -N ${lastId ? `-H 'Last-Event-ID: ${lastId}' ` : ""}'${location.origin}${path}'`;
}

function begin(event) {
	event?.preventDefault();
	stop();
	Object.assign(seen, {frames: 0, bytes: 0, delays: [], reconnections: 0});
	lastId = $("last-id").value.trim();
	$("frames").replaceChildren();
	showRoute($("path").value);
	open($("path").value);
}

$("ask").addEventListener("submit", begin);
$("stop").addEventListener("click", stop);
$("clear").addEventListener("click", () => $("frames").replaceChildren());

$("publish").addEventListener("submit", async event => {
	event.preventDefault();
	$("published").textContent = $("publish-error").textContent = "";
	try {
		const body = JSON.stringify({channel: $("channel").value.trim(), data: JSON.parse($("data").value)});
		const answer = await fetch("/demo/publish", {method: "POST", headers: {"Content-Type": "application/json"}, body});
		const said = await answer.json();
		if (!answer.ok) throw new Error(said.detail);
		$("published").textContent = `${said.receivers} received it`;
	} catch (error) {
		$("publish-error").textContent = error instanceof SyntaxError ? "The data is not JSON." : error.message;
	}
});

const lines = await ini;
for (const [, path] of lines.matchAll(/^path = (.*)$/gm)) $("paths").append(Object.assign(element("option"), {value: path.replace(/{\w+}/g, "hello")}));
$("source").textContent = await text("inspector.js");
begin();
