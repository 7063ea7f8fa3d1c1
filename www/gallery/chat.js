import {$, addLine, follow, sluice} from "./gallery.js";

let room, here;

/** What is said, and who is here: whoever follows the route with handler = presence. */
function enter() {
	const name = $("room").value, people = new Set(), field = $("chat-name");
	const isName = field.value && field.validity.valid;
	room?.stop();
	$("chat-list").replaceChildren();
	room = follow("/chat/{room}", {room: name}, ({json}) => addLine($("chat-list"), json.name, json.text, json.t));

	$("chat-error").textContent = field.value && !isName ? `${field.title}. Until then you are a guest here.` : "";
	here?.stop();
	here = follow("/chat/{room}/here?name={name}", {room: name, name: isName ? field.value : "a guest"}, ({type, json}) => {
		if (type === "presence") {
			people.clear();
			json.users.forEach(user => people.add(user));
		}
		if (type === "join") people.add(json.user);
		if (type === "leave") people.delete(json.user);
		$("here").textContent = [...people].sort().join(", ") || "nobody yet";
	});
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

$("room").addEventListener("change", enter);
$("chat-name").addEventListener("change", enter);
enter();
