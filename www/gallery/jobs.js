import {$, element, follow, say, sluice} from "./gallery.js";

const MOST = 5;
let started = JSON.parse(localStorage.getItem("work") ?? "[]");

function watch(id) {
	const line = element("li"), title = element("b", `Job ${id}`), percent = element("span", "waiting", "percent");
	const bar = element("progress"), cancel = element("button", "Cancel");
	bar.max = 100;
	bar.value = 0;
	bar.setAttribute("aria-label", `Job ${id}`);
	cancel.type = "button";
	cancel.setAttribute("aria-label", `Cancel job ${id}`);
	cancel.onclick = () => sluice.publish("/tasks/{id}/cancel", {}, {id});
	line.append(title, percent, bar, cancel);
	$("work-list").prepend(line);

	// Whoever comes later is told the newest first; the last message ends the stream for good.
	follow("/tasks/{id}", {id}, ({json}) => {
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
		started = started.concat(id).slice(-MOST);
		localStorage.setItem("work", JSON.stringify(started));
		$("work-error").textContent = "";
		watch(id);
	} catch (error) {
		$("work-error").textContent = error.message;
	}
});

started.forEach(watch);
if (!started.length) say("live", "nothing runs");
