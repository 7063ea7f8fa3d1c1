// sluice.js: what EventSource lacks. One module, no dependency, for browsers and Node.
//
//   const sluice = new Sluice("/events");
//   const job = sluice.subscribe("/jobs/{id}/progress", {id: 42});
//   job.listen(message => bar.value = message.json.percent);
//   await job.ready;
//   job.stop();

const OWN_EVENTS = ["stream-open", "stream-reset", "stream-end", "keep-alive"];
const SEEN_MAX = 500;

const DEFAULTS = {
	servers: [""], // what stands before each path, tried in turn
	token: null, // a text, or a function of one, for the parameter of jwt_query; asked for each attempt
	tokenParameter: "token",
	withCredentials: false,
	stale: 45000, // ms without even a heartbeat, after which a connection is taken for dead
	backoff: [500, 30000], // ms: the first wait is up to the first, each later one up to twice as long
	shared: true, // one connection for all tabs, where the browser can
	waitPath: "/wait/{name}/{id}",
	// Looked up when used; may be given, as in Node.
	EventSource: null,
	fetch: null,
	storage: null,
};

const platform = (options, name) => options[name] ?? globalThis[name];
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** "/jobs/{id}?x={y}" with each name replaced by its value, encoded. */
export function expand(template, params = {}) {
	return template.replace(/{(\w+)}/g, (_, name) => {
		if (params[name] === undefined) throw new TypeError(`${template} needs ${name}`);
		return encodeURIComponent(params[name]);
	});
}

/** Full jitter: anything up to the bound, which doubles with each failure. */
export function backoff([first, most], failures, random = Math.random) {
	return random() * Math.min(most, first * 2 ** failures);
}

/** Of a message that is published, maybe more than once; a page without TLS has no randomUUID(). */
const unique = () => Array.from({length: 3}, () => Math.random().toString(36).slice(2)).join("-");

function message(type, data, id) {
	return {type, data, id, get json() {
		return JSON.parse(data);
	}};
}

/**
 * One EventSource after the other, for one path. Tells its owner what comes:
 * onMessage(message), onOpen({resumed, from}), onReset(reason), onEnd(reason), onError(error).
 */
class Connection {
	constructor(options, path, names, owner) {
		Object.assign(this, {options, path, names, owner});
		this.lastId = "";
		this.failures = 0;
		this.attempt = 0;
		this.isStopped = false;
		this.wake = () => this.look();
		for (const [target, name] of this.wakers()) target.addEventListener(name, this.wake);
	}

	wakers() {
		const page = globalThis.document, window = globalThis.window;
		return [[page, "visibilitychange"], [window, "online"], [window, "pageshow"]].filter(([target]) => target?.addEventListener);
	}

	/** A new address for each attempt: the next server, a token that is still good, and where we stand. */
	async url() {
		const {servers, token, tokenParameter} = this.options;
		const base = servers[this.attempt++ % servers.length] + this.path;
		const more = new URLSearchParams();
		const text = typeof token === "function" ? await token() : token;
		if (text) more.set(tokenParameter, text);
		if (this.lastId) more.set("last_event_id", this.lastId);
		return [...more].length ? base + (base.includes("?") ? "&" : "?") + more : base;
	}

	async open() {
		clearTimeout(this.timer);
		const round = this.round = {}; // what an older attempt still says counts nothing
		let url;
		try {
			url = await this.url();
		} catch (error) {
			if (this.round === round) this.again();
			return;
		}
		if (this.isStopped || this.round !== round) return;
		const Source = platform(this.options, "EventSource");
		const source = this.source = new Source(url, {withCredentials: this.options.withCredentials});
		this.address = url;
		this.heard();
		source.onerror = () => this.source === source && this.onError(source);
		for (const name of ["message", ...OWN_EVENTS, ...this.names]) this.follow(name);
	}

	follow(name) {
		const source = this.source;
		source?.addEventListener(name, event => this.source === source && this.onEvent(event));
	}

	heard() {
		this.heardAt = Date.now();
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.reopen(), this.options.stale);
	}

	onEvent(event) {
		const {type, data, lastEventId} = event;
		this.heard();
		if (lastEventId) this.lastId = lastEventId;
		if (type === "keep-alive") return;
		this.failures = 0;
		if (type === "stream-open") this.owner.onOpen(JSON.parse(data));
		else if (type === "stream-reset") this.owner.onReset(JSON.parse(data).reason);
		else if (type === "stream-end") this.onEnd(JSON.parse(data).reason);
		else this.owner.onMessage(message(type, data, lastEventId));
	}

	/** With an id that ends in ".end" it is for good: a further request would be answered 204. */
	onEnd(reason) {
		if (!this.lastId.endsWith(".end")) return;
		this.stop();
		this.owner.onEnd(reason);
	}

	/** A source that is closed had an answer that it does not tell. */
	async onError(source) {
		const isRefused = source.readyState === 2;
		this.close();
		const status = isRefused ? await this.probe() : 0;
		if (this.isStopped) return;
		if (status === 204) {
			this.stop();
			this.owner.onEnd("gone");
		} else if (status >= 400 && status < 500 && status !== 429 && !this.mayHeal(status)) {
			this.stop();
			this.owner.onError(Object.assign(new Error(`${this.path}: ${status}`), {status}));
		} else {
			this.again();
		}
	}

	mayHeal(status) {
		return status === 401 && typeof this.options.token === "function";
	}

	async probe() {
		try {
			const credentials = this.options.withCredentials ? "include" : "same-origin";
			return (await platform(this.options, "fetch")(this.address, {method: "HEAD", credentials})).status;
		} catch {
			return 0;
		}
	}

	again() {
		this.timer = setTimeout(() => this.open(), backoff(this.options.backoff, this.failures++));
	}

	reopen() {
		this.close();
		this.open();
	}

	/** The machine slept, or the network is back: timers may be late. */
	look() {
		if (globalThis.document?.visibilityState === "hidden" || this.isStopped) return;
		if (!this.source || Date.now() - this.heardAt > this.options.stale) this.reopen();
	}

	close() {
		clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
	}

	stop() {
		this.isStopped = true;
		this.close();
		for (const [target, name] of this.wakers()) target.removeEventListener(name, this.wake);
	}
}

/**
 * One Connection for all tabs: who holds the lock of the path has it and tells the others; when that
 * tab is closed, the next one gets the lock and goes on from the last id.
 */
class Shared {
	constructor(options, path, names, owner) {
		Object.assign(this, {options, path, names: new Set(names), owner});
		this.lastId = "";
		this.seen = new Set();
		this.channel = new BroadcastChannel(`sluice ${path}`);
		this.channel.onmessage = ({data}) => this.hear(data);
		this.abort = new AbortController();
	}

	open() {
		this.say({hello: [...this.names]});
		navigator.locks.request(`sluice ${this.path}`, {signal: this.abort.signal}, () => this.hold()).catch(() => {});
	}

	say(what) {
		this.channel.postMessage(what);
	}

	follow(name) {
		this.names.add(name);
		if (this.connection) this.connection.follow(name);
		else this.say({hello: [name]});
	}

	/** The lock is ours until we stop. */
	hold() {
		const tell = kind => value => {
			const {type, data, id} = value; // what can be posted of a message
			this.say({kind, value: kind === "onMessage" ? {type, data, id} : value});
			this.take(kind, value);
		};
		const owner = Object.fromEntries(["onMessage", "onOpen", "onReset", "onEnd"].map(kind => [kind, tell(kind)]));
		owner.onError = error => this.owner.onError(error);
		this.connection = new Connection(this.options, this.path, [...this.names], owner);
		this.connection.lastId = this.lastId;
		this.connection.open();
		return new Promise(resolve => this.release = resolve);
	}

	hear({hello, kind, value}) {
		if (hello && this.connection) {
			for (const name of hello) {
				if (!this.names.has(name)) this.follow(name);
			}
			if (this.isOpen) this.say({kind: "onOpen", value: this.isOpen});
		} else if (kind && !this.connection) {
			this.take(kind, kind === "onMessage" ? message(value.type, value.data, value.id) : value);
		}
	}

	/** After a handover some come again. */
	take(kind, value) {
		if (kind === "onOpen") {
			if (this.isOpen && !this.connection) return;
			this.isOpen = value;
		} else if (kind === "onMessage" && value.id) {
			if (this.seen.has(value.id)) return;
			this.seen.add(this.lastId = value.id);
			if (this.seen.size > SEEN_MAX) this.seen.delete(this.seen.values().next().value);
		}
		this.owner[kind](value);
	}

	stop() {
		this.abort.abort();
		this.connection?.stop();
		this.release?.();
		this.channel.close();
	}
}

const canShare = () => globalThis.navigator?.locks && globalThis.BroadcastChannel && globalThis.document;

/** What subscribe() gives: listen, ready, stop. */
class Subscription {
	constructor(sluice, path, {from = "", load = false, events = [], shared} = {}) {
		const {options} = sluice;
		Object.assign(this, {sluice, path, storage: load ? platform({localStorage: options.storage}, "localStorage") : null});
		this.listeners = [];
		this.lastId = from || this.storage?.getItem(this.key) || "";
		this.ready = new Promise((resolve, reject) => Object.assign(this, {resolve, reject}));
		this.ready.catch(() => {}); // who does not wait for it is not warned about it
		const Transport = (shared ?? options.shared) && !this.lastId && canShare() ? Shared : Connection;
		this.transport = new Transport(options, path, events, this);
		this.transport.lastId = this.lastId;
		this.names = new Set(events);
	}

	get key() {
		return `sluice ${this.path}`;
	}

	/** listen(fn), or listen(name, fn) for the events of that name. Returns this. */
	listen(name, fn) {
		if (typeof name === "function") [name, fn] = ["", name];
		if (name && name !== "message" && !this.names.has(name)) {
			this.names.add(name);
			this.transport.follow(name);
			if (Array.isArray(this.transport.names)) this.transport.names.push(name);
		}
		this.listeners.push({name, fn});
		return this;
	}

	/** What came may not be all: fetch anew. */
	onReset(reason) {
		this.reset?.(reason);
	}

	onOpen(said) {
		this.resolve(said);
		this.open?.(said);
	}

	onMessage(message) {
		if (message.id) this.lastId = message.id;
		this.storage?.setItem(this.key, this.lastId);
		for (const {name, fn} of this.listeners) {
			if (!name || name === message.type) fn(message);
		}
	}

	onEnd(reason) {
		this.end?.(reason);
		this.stop();
	}

	onError(error) {
		this.reject(error);
		this.error?.(error);
		this.stop();
	}

	stop() {
		this.transport.stop();
		this.sluice.subscriptions.delete(this);
	}
}

/** The streams of one site. */
export class Sluice {
	constructor(base = "", options = {}) {
		this.options = {...DEFAULTS, ...options};
		this.options.servers = (options.servers ?? [""]).map(server => server + base);
		this.subscriptions = new Set();
		this.isConnected = true;
	}

	/**
	 * subscribe("/jobs/{id}", {id: 42}, {events, from, load}): events are names besides "message"; from is
	 * the id behind which it begins; load keeps the position in localStorage. The handle's open, reset,
	 * end and error may be set to functions.
	 */
	subscribe(path, params, options) {
		if (typeof params === "string") [params, options] = [{}, {from: params}]; // (channel, offset)
		const subscription = new Subscription(this, expand(path, params), options);
		this.subscriptions.add(subscription);
		if (this.isConnected) subscription.transport.open();
		return subscription;
	}

	unsubscribe(path, params) {
		for (const one of this.subscriptions) {
			if (one.path === expand(path, params)) one.stop();
		}
	}

	connect() {
		if (this.isConnected) return;
		this.isConnected = true;
		for (const {transport} of this.subscriptions) (transport.connection ?? transport).open();
	}

	/** Nothing comes until connect(), which goes on where each stood. */
	disconnect() {
		this.isConnected = false;
		for (const {transport} of this.subscriptions) {
			const connection = transport.connection ?? transport;
			connection.round = null;
			connection.close?.();
		}
	}

	async #ask(path, init, tries = 1) {
		const {servers, token, withCredentials} = this.options;
		for (let n = 0; ; n++) {
			try {
				const text = typeof token === "function" ? await token() : token;
				const headers = {...init.headers, ...(text ? {Authorization: `Bearer ${text}`} : {})};
				const response = await platform(this.options, "fetch")(servers[n % servers.length] + path, {
					...init, headers, credentials: withCredentials ? "include" : "same-origin"});
				if (response.status < 500 || response.status === 504 || n + 1 >= tries) return response;
			} catch (error) {
				if (n + 1 >= tries || init.signal?.aborted) throw error;
			}
			await sleep(backoff(this.options.backoff, n));
		}
	}

	async #answer(response) {
		const body = await response.json().catch(() => ({}));
		if (!response.ok) throw Object.assign(new Error(body.detail ?? response.statusText), {status: response.status, problem: body});
		return body;
	}

	/** publish("/chat/{room}", value, {room}): said again after a failure, it is published once. */
	async publish(path, value, params, {tries = 4} = {}) {
		return this.#answer(await this.#ask(expand(path, params), {
			method: "POST", body: JSON.stringify(value), headers: {"Content-Type": "application/json", "Idempotency-Key": unique()}}, tries));
	}

	/** once(name, id, {timeout}): the first message of a route with handler = wait; rejects with status 504 after timeout ms. */
	async once(name, id, {timeout = 10000, after, signal} = {}) {
		const query = new URLSearchParams({timeout, ...(after ? {after} : {})});
		return this.#answer(await this.#ask(`${expand(this.options.waitPath, {name, id})}?${query}`, {signal}));
	}
}

export default Sluice;
