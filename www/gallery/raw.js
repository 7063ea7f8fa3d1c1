// EventSource shows neither the bytes nor a name that one does not know before: this reads the stream itself.

/** One frame, without its blank line. */
export function parseFrame(raw) {
	const frame = {name: "", id: "", data: "", raw}, data = [];
	for (const line of raw.split("\n")) {
		const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
		if (field === "data") data.push(value);
		if (field === "event") frame.name = value;
		if (field === "id") frame.id = value;
	}
	frame.data = data.join("\n");
	if (!frame.name && data.length) frame.name = "message";
	return frame;
}

/** Calls back with each frame until the stream ends; throws what the server answered instead of one. */
export async function readStream(path, init, callback) {
	const answer = await fetch(path, {cache: "no-store", ...init});
	const type = answer.headers.get("Content-Type") ?? "";
	if (answer.status !== 200 || !type.startsWith("text/event-stream")) throw new Error(`${answer.status} ${answer.statusText}, ${type}`);
	const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
	for (let rest = ""; ;) {
		const {value, done} = await reader.read();
		if (done) return;
		const blocks = (rest + value).split("\n\n");
		rest = blocks.pop();
		for (const raw of blocks) callback(parseFrame(raw));
	}
}
