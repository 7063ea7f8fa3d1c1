// Follows one stream with one client of others, as its own README shows it, and prints what the client hands to its user:
// a JSON array a line, ["message", data] or ["event", name] or ["closed"] or ["error", text].
//
//	node follow.mjs CLIENT URL
const [client, url] = process.argv.slice(2);
const say = (...what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const NAMES = ["stream-open", "stream-reset", "stream-end", "stream-done", "keep-alive"];

process.on("unhandledRejection", error => say("error", `unhandled: ${error}`));
process.on("uncaughtException", error => say("error", `uncaught: ${error}`));

/** What has EventSource's interface. It is told nothing about the end but by the server. */
function followSource(source) {
	source.onmessage = ({data}) => say("message", data);
	for (const name of NAMES) source.addEventListener(name, ({data}) => say("event", name, data));
	source.onerror = error => {
		if (source.readyState === 2) say("closed");
		else if (error.message && !/terminated|fetch failed|Failed to fetch|network/i.test(error.message)) say("event", `error: ${error.message}`);
	};
}

const CLIENTS = {
	async "eventsource-3"() {
		const {EventSource} = await import("eventsource-3");
		followSource(new EventSource(url));
	},

	async "eventsource-4"() {
		const {EventSource} = await import("eventsource-4");
		followSource(new EventSource(url));
	},

	async "event-source-polyfill"() {
		const {EventSourcePolyfill} = (await import("event-source-polyfill")).default;
		followSource(new EventSourcePolyfill(url));
	},

	/** Its README's example: every message is JSON. It takes all events, whatever their name, so one looks at it first. */
	async "fetch-event-source"() {
		globalThis.window = globalThis;
		globalThis.document = {hidden: false, addEventListener() {}, removeEventListener() {}};
		const {fetchEventSource} = (await import("@microsoft/fetch-event-source")).default;
		const ending = new AbortController();
		await fetchEventSource(url, {
			signal: ending.signal,
			onmessage(m) {
				const value = JSON.parse(m.data);
				if (m.event === "") say("message", JSON.stringify(value));
				else say("event", m.event, m.data);
				if (m.event === "stream-done") ending.abort();
			},
			onclose() {
				if (!ending.signal.aborted) throw new Error("closed"); // "come back" is an exception here
			},
			onerror(error) {
				if (!/closed|terminated|fetch failed|network|aborted/i.test(String(error))) say("error", String(error));
			},
		});
		say("closed");
	},

	/** A strict reader of raw bytes: no frame without data, nothing that is no field, and ids as the server says them. */
	async "eventsource-parser"() {
		const {createParser} = await import("eventsource-parser");
		let last = "", retry = 3000, isOver = false;
		while (!isOver) {
			try {
				const response = await fetch(url, {headers: {Accept: "text/event-stream", ...(last && {"Last-Event-ID": last})}});
				if (response.status === 204) break;
				if (!/^text\/event-stream; ?charset=utf-8$/i.test(response.headers.get("content-type"))) say("error", "its type");
				const parser = createParser({
					onEvent({id, event, data}) {
						last = id ?? last;
						if (event) say("event", event, data);
						else say("message", data);
						if (!data) say("error", "an event without data");
						if (event === "stream-done") isOver = true;
					},
					onRetry(ms) { retry = ms; },
					onError(error) { say("error", `${error.type}: ${error.line}`); },
				});
				const decoder = new TextDecoder();
				let text = "";
				for await (const chunk of response.body) {
					const piece = decoder.decode(chunk, {stream: true});
					parser.feed(piece);
					text += piece;
					for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
						if (!/^data:/m.test(text.slice(0, end))) say("error", `a frame without data: ${text.slice(0, end)}`);
					}
				}
			} catch (error) {
				if (!/terminated|fetch failed|aborted/i.test(String(error))) say("error", String(error));
			}
			if (!isOver) await new Promise(resolve => setTimeout(resolve, retry));
		}
		say("closed");
	},

	/** Our own, in Node. */
	async sluice() {
		const {EventSource} = await import("eventsource-4"), {Sluice} = await import("./sluice.mjs");
		const {origin, pathname} = new URL(url);
		const one = new Sluice(origin, {EventSource, backoff: [100, 300]}).subscribe(pathname).listen("message", m => say("message", m.data));
		one.open = () => say("event", "stream-open");
		one.reset = reason => say("event", "stream-reset", JSON.stringify({reason}));
		one.end = reason => say("closed", reason);
		one.error = error => say("error", String(error));
	},

	/** The reader of the OpenAI SDK: it ends at [DONE]. */
	async openai() {
		const {Stream} = await import("openai/streaming");
		const ending = new AbortController();
		const stream = Stream.fromSSEResponse(await fetch(url, {signal: ending.signal}), ending);
		say("event", "open");
		for await (const chunk of stream) say("message", JSON.stringify(chunk));
		say("closed");
	},

	/** The AI SDK's chat transport and its reader of UI messages. */
	async ai() {
		const {DefaultChatTransport, readUIMessageStream} = await import("ai");
		const transport = new DefaultChatTransport({api: url, fetch: (input, init) => fetch(url, {signal: init.signal})});
		const stream = await transport.sendMessages({chatId: "1", messages: [], trigger: "submit-message"});
		say("event", "open");
		const text = message => message.parts.filter(({type}) => type === "text").map(part => part.text).join("");
		let last = "";
		for await (const message of readUIMessageStream({stream, onError: error => say("error", String(error))})) last = text(message);
		say("message", last);
		say("closed");
	},
};

await CLIENTS[client]();
