import {$, addLine, follow, say, sluice} from "./gallery.js";

const seen = {unread: 0, replayed: 0, isBack: false};
let sent = 0;

const notes = follow("/notes", {}, ({json, id}) => {
	addLine($("notes-list"), id, json.text, Number(id.split("-")[0]));
	$("badge").textContent = `${++seen.unread} new`;
	if (seen.isBack) $("note-replayed").textContent = `${++seen.replayed} replayed`;
});

// The position is the subscription's own, so after any reset the page fetches what it needs anew.
notes.reset = reason => $("note-error").textContent = `Some may be missing (${reason}).`;

async function send(text) {
	try {
		await sluice.publish("/notes", {text});
		$("note-error").textContent = "";
	} catch (error) {
		$("note-error").textContent = error.message;
	}
}

$("note-send").addEventListener("click", () => send(`Notification ${++sent}`));
$("note-read").addEventListener("click", () => $("badge").textContent = `${seen.unread = 0} new`);
$("note-cut").addEventListener("click", async () => {
	sluice.disconnect();
	say("closed");
	Object.assign(seen, {replayed: 0, isBack: false});
	for (let n = 1; n <= 3; n++) await send(`Sent while this page was away (${n} of 3)`);
	setTimeout(() => {
		seen.isBack = true;
		sluice.connect();
		setTimeout(() => seen.isBack = false, 2000);
	}, 3000);
});
