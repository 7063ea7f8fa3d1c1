import {$, addLine, follow, sluice} from "./gallery.js";

const SAID_EVERY_MS = 10000, GONE_AFTER_MS = 25000;
const me = Math.random().toString(36).slice(2);
const people = new Map(); // who: {name, until}
let room, here;

// -- what is said

function enter(name) {
	leave();
	$("chat-list").replaceChildren();
	room = follow("/chat/{room}", {room: name}, ({json}) => addLine($("chat-list"), json.name, json.text, json.t));
	here = follow("/chat/{room}/here", {room: name}, ({json}) => meet(json));
	here.ready.then(sayHere, () => {});
}

$("chat-form").addEventListener("submit", async event => {
	event.preventDefault();
	try {
		await sluice.publish("/chat/{room}", {name: $("chat-name").value, text: $("chat-text").value}, {room: $("room").value});
		$("chat-text").value = $("chat-error").textContent = "";
	} catch (error) {
		$("chat-error").textContent = error.message;
	}
});

// -- who is here: each says so now and then; who has not for a while, or says goodbye, has gone

function sayHere(isHere = true) {
	const name = $("chat-name").value || "a guest";
	return sluice.publish("/chat/{room}/here", {who: me, name, here: isHere !== false}, {room: $("room").dataset.now}, {tries: 1}).catch(() => {});
}

function leave() {
	room?.stop();
	here?.stop();
	if (room) sayHere(false);
	people.clear();
	$("room").dataset.now = $("room").value;
	showPeople();
}

function meet({who, name, here: isHere, t}) {
	if (isHere) people.set(who, {name, until: t + GONE_AFTER_MS});
	else people.delete(who);
	showPeople();
}

function showPeople() {
	for (const [who, {until}] of people) {
		if (until < Date.now()) people.delete(who);
	}
	const names = [...people].map(([who, {name}]) => who === me ? `${name} (you)` : name).sort();
	const text = names.length ? names.join(", ") : "nobody yet";
	if ($("here").textContent !== text) $("here").textContent = text;
}

setInterval(sayHere, SAID_EVERY_MS);
setInterval(showPeople, 1000);
$("chat-name").addEventListener("change", () => sayHere());
addEventListener("pagehide", () => {
	const path = `/events/chat/${$("room").dataset.now}/here`;
	const body = new Blob([JSON.stringify({who: me, name: "", here: false})], {type: "application/json"});
	navigator.sendBeacon(path, body);
});

$("room").addEventListener("change", () => enter($("room").value));
enter($("room").value);
