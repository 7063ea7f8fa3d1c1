// What EventSource lacks, in one module. sluice.d.ts says what each name is for.

const OWN_EVENTS = ["stream-open", "stream-reset", "stream-end", "keep-alive"];
const SEEN_MAX = 500;

const DEFAULTS = {
	servers: [""],
	token: null,
	tokenParameter: "token",
	withCredentials: false,
	stale: 45000,
	backoff: [500, 30000],
	shared: true,
	mux: "",
	waitPath: "/wait/{name}/{id}",
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

/** A page without TLS has no randomUUID(). */
const unique = () => Array.from({length: 3}, () => Math.random().toString(36).slice(2)).join("-");

function message(type, data, id) {
	return {type, data, id, get json() {
		return JSON.parse(data);
	}};
}

/** One EventSource after the other. Its owner has onMessage, onOpen, onReset, onEnd, onError. */
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

/** A connection of its own, or a part of the one for all. */
const connect = (options, path, names, owner) =>
	options.mux ? new Leg(options.muxed ??= new Mux(options), path, owner) : new Connection(options, path, names, owner);

/** One for all tabs: who holds the lock of the path has it, and tells the others; then the next one. */
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

	hold() {
		const tell = kind => value => {
			const {type, data, id} = value; // what can be posted of a message
			this.say({kind, value: kind === "onMessage" ? {type, data, id} : value});
			this.take(kind, value);
		};
		const owner = Object.fromEntries(["onMessage", "onOpen", "onReset", "onEnd"].map(kind => [kind, tell(kind)]));
		owner.onError = error => this.owner.onError(error);
		this.connection = connect(this.options, this.path, [...this.names], owner);
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

/** All subscriptions of a page on one Connection to a route with handler = mux. */
class Mux {
	constructor(options) {
		this.options = options;
		this.legs = new Map();
		this.count = 0;
	}

	get path() {
		const list = [...this.legs].map(([key, leg]) => this.entry(key, leg));
		return `${this.options.mux}?s=${encodeURIComponent(JSON.stringify(list))}`;
	}

	entry(key, leg) {
		leg.isAsked = true;
		return [key, this.options.base + leg.path, leg.lastId];
	}

	add(leg) {
		const key = leg.key ??= `${++this.count}`;
		this.legs.set(key, leg);
		leg.isAsked = false;
		if (this.secret) this.ask();
		else if (!this.connection) this.open();
	}

	ask() {
		const add = [...this.legs].filter(([, leg]) => !leg.isAsked).map(([key, leg]) => this.entry(key, leg));
		if (add.length) this.change({add});
	}

	remove(leg) {
		if (!this.legs.delete(leg.key)) return;
		if (!this.legs.size) this.close();
		else if (this.secret) this.change({remove: [leg.key]});
	}

	open() {
		this.connection = new Connection(this.options, "", ["mux", "mux-open"], this);
		Object.defineProperty(this.connection, "path", {get: () => this.path});
		this.connection.open();
	}

	close() {
		this.connection?.stop();
		this.connection = this.secret = null;
	}

	change(what) {
		const {fetch, servers} = this.options;
		(fetch ?? globalThis.fetch)(`${servers[0]}${this.options.mux}?connection=${this.secret}`,
			{method: "POST", body: JSON.stringify(what), credentials: "same-origin"})
			.then(({ok}) => ok || this.connection?.reopen(), () => this.connection?.reopen());
	}

	onMessage({type, data}) {
		this.connection.lastId = "";
		if (type === "mux-open") {
			this.secret = JSON.parse(data).connection;
			this.ask(); // those that came meanwhile
			return;
		}
		const eol = data.indexOf("\n");
		const [key, name, id] = JSON.parse(data.slice(0, eol));
		this.legs.get(key)?.take(name, id, data.slice(eol + 1));
	}

	onOpen() {
		this.secret = null;
	}

	onReset() {}

	onEnd(reason) {
		for (const leg of [...this.legs.values()]) leg.owner.onEnd(reason);
	}

	onError(error) {
		for (const leg of [...this.legs.values()]) leg.owner.onError(error);
	}
}

class Leg {
	constructor(mux, path, owner) {
		Object.assign(this, {mux, path, owner, lastId: ""});
	}

	open() {
		this.mux.add(this);
	}

	follow() {}

	take(name, id, data) {
		const {owner} = this;
		if (name === "mux-refused") owner.onError(Object.assign(new Error(data), {status: JSON.parse(data).status}));
		else if (name === "mux-end" && !JSON.parse(data).for_good) setTimeout(() => this.mux.legs.has(this.key) && this.open(), 1000 * Math.random());
		else if (name === "mux-end") owner.onEnd("gone");
		else {
			this.lastId = id || this.lastId;
			if (name === "stream-open") owner.onOpen(JSON.parse(data));
			else if (name === "stream-reset") owner.onReset(JSON.parse(data).reason);
			else if (name !== "stream-end") owner.onMessage(message(name, data, id));
			else if (id.endsWith(".end")) owner.onEnd(JSON.parse(data).reason);
		}
	}

	close() {
		this.mux.remove(this);
	}

	stop() {
		this.close();
	}
}

const canShare = () => globalThis.navigator?.locks && globalThis.BroadcastChannel && globalThis.document;

class Subscription {
	constructor(sluice, path, {from = "", load = false, events = [], shared} = {}) {
		const {options} = sluice;
		Object.assign(this, {sluice, path, storage: load ? platform({localStorage: options.storage}, "localStorage") : null});
		this.listeners = [];
		this.lastId = from || this.storage?.getItem(this.key) || "";
		this.ready = new Promise((resolve, reject) => Object.assign(this, {resolve, reject}));
		this.ready.catch(() => {});
		this.transport = (shared ?? options.shared) && !this.lastId && canShare() ? new Shared(options, path, events, this) : connect(options, path, events, this);
		this.transport.lastId = this.lastId;
		this.names = new Set(events);
	}

	get key() {
		return `sluice ${this.path}`;
	}

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

export class Sluice {
	constructor(base = "", options = {}) {
		this.options = {...DEFAULTS, ...options};
		this.options.base = base;
		this.options.servers = (options.servers ?? [""]).map(server => server + base);
		this.subscriptions = new Set();
		this.isConnected = true;
	}

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

	async publish(path, value, params, {tries = 4} = {}) {
		return this.#answer(await this.#ask(expand(path, params), {
			method: "POST", body: JSON.stringify(value), headers: {"Content-Type": "application/json", "Idempotency-Key": unique()}}, tries));
	}

	async once(name, id, {timeout = 10000, after, signal} = {}) {
		const query = new URLSearchParams({timeout, ...(after ? {after} : {})});
		return this.#answer(await this.#ask(`${expand(this.options.waitPath, {name, id})}?${query}`, {signal}));
	}
}

export default Sluice;
