// What EventSource lacks; see sluice.d.ts.

const EVENTS = ["message", "stream-open", "stream-reset", "stream-end", "stream-done", "keep-alive"];
const WAKERS = ["visibilitychange", "online", "pageshow"];

const DEFAULTS = {
	servers: [""],
	token: null,
	tokenParameter: "token",
	withCredentials: false,
	stale: 45000,
	backoff: [500, 4000],
	mux: "",
	shared: true,
	waitPath: "/wait/{name}/{id}",
	EventSource: globalThis.EventSource,
	fetch: (...all) => globalThis.fetch(...all),
};

export function expand(template, params = {}) {
	return template.replace(/{(\w+)}/g, (_, name) => {
		if (params[name] === undefined) throw new TypeError(`${template} needs ${name}`);
		return encodeURIComponent(params[name]);
	});
}

export const backoff = ([first, most], failures, random = Math.random) => random() * Math.min(most, first * 2 ** failures);

const unique = () => Math.random().toString(36).slice(2, 12);

const message = (type, data, id) => ({type, data, id, get json() {
	return JSON.parse(data);
}});

function tell(owner, type, data, id) {
	if (type === "stream-open") owner.on("open", JSON.parse(data));
	else if (type === "stream-reset") owner.on("reset", JSON.parse(data).reason);
	else if (type === "stream-done") owner.on("end", JSON.parse(data).reason);
	else if (type !== "stream-end") owner.on("message", message(type, data, id));
}

const failure = (text, status, problem) => Object.assign(new Error(text), {status, problem});
const tokenOf = async ({token}) => typeof token === "function" ? token() : token;
const isPast = (since, ms) => ms && Date.now() - since > ms;
/** By the clock: a machine that slept finds out at once. */
const tick = ({stale}, fn) => setInterval(fn, Math.min(stale / 4 || 2000, 2000));
const again = (one, fn) => one.timer = setTimeout(fn, backoff(one.options.backoff, one.failures++));
const mayHeal = ({token}, status) => status === 401 && typeof token === "function";

async function request(options, url, init) {
	const token = await tokenOf(options);
	const headers = {...init.headers, ...(token && {Authorization: `Bearer ${token}`})};
	return options.fetch(url, {...init, headers, credentials: options.withCredentials ? "include" : "same-origin"});
}

/** One EventSource after the other. Its owner has on(kind, value). */
class Connection {
	constructor(options, path, names, owner) {
		Object.assign(this, {options, path, names, owner, lastId: "", failures: 0, attempt: 0});
	}

	start() {
		const wake = ({type}) => (document.hidden || this.source && type !== "online" && !this.isStale()) || this.open();
		this.stop();
		this.watch = new AbortController();
		for (const name of WAKERS) globalThis.addEventListener?.(name, wake, {capture: true, signal: this.watch.signal});
		this.ticker = tick(this.options, () => this.source && this.isStale() && this.open());
		this.open();
	}

	stop() {
		this.close();
		clearInterval(this.ticker);
		this.watch?.abort();
	}

	isStale() {
		return isPast(this.heardAt, this.options.stale);
	}

	async url() {
		const {servers, tokenParameter} = this.options, token = await tokenOf(this.options);
		this.server = servers[this.attempt++ % servers.length];
		let url = this.server + (this.owner.address?.() ?? this.path);
		for (const [name, value] of [[tokenParameter, token], ["last_event_id", this.lastId]]) {
			if (value) url += `${url.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(value)}`;
		}
		return url;
	}

	close() {
		clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
		this.round = {};
	}

	async open() {
		this.close();
		const {round} = this, url = await this.url().catch(() => "");
		if (round !== this.round) return;
		if (!url) return this.again();
		this.asked = url;
		this.heard();
		const source = this.source = new this.options.EventSource(url, {withCredentials: this.options.withCredentials});
		source.onerror = () => round === this.round && this.onError(source.readyState === 2);
		for (const name of new Set([...EVENTS, ...this.names])) this.follow(name);
	}

	follow(name) {
		const {round} = this;
		this.source?.addEventListener(name, event => round === this.round && this.onEvent(event));
	}

	heard() {
		this.heardAt = Date.now();
		this.owner.onBeat?.();
	}

	onEvent({type, data, lastEventId}) {
		this.heard();
		if (data === undefined) return;
		this.lastId = lastEventId || this.lastId;
		if (type === "keep-alive") return;
		if (type === "stream-open") this.openedAt = Date.now();
		tell(this.owner, type, data, lastEventId);
	}

	async onError(isRefused) {
		this.close();
		const {round, options, asked} = this;
		const status = isRefused && (await request({...options, token: ""}, asked, {method: "HEAD"}).catch(() => {}))?.status;
		if (round !== this.round) return;
		if (status !== 204 && !(status >= 400 && status < 500 && status !== 429 && !mayHeal(options, status))) return this.again();
		this.stop();
		this.owner.on(...status === 204 ? ["end", "gone"] : ["error", failure(`${asked}: ${status}`, status)]);
	}

	again() {
		this.close();
		if (isPast(this.openedAt, 10000)) this.failures = 0;
		this.openedAt = NaN;
		this.owner.on("lost");
		again(this, () => this.open());
	}
}

/** All subscriptions of all tabs on one Connection: that of the tab with the lock. The next one is asked anew, under new keys. */
class Mux {
	constructor(options) {
		const {servers, mux, shared, token} = options;
		Object.assign(this, {options, tab: unique(), count: 0, beatAt: 0, unsaid: [], legs: new Map()});
		this.name = JSON.stringify(["sluice", servers, mux, shared, token]);
		globalThis.addEventListener?.("pagehide", () => this.stop());
		globalThis.addEventListener?.("pageshow", ({persisted}) => persisted && this.legs.size && this.start());
	}

	start() {
		const {locks} = globalThis.navigator ?? {};
		this.round = {};
		if (!this.options.shared || !locks || !globalThis.BroadcastChannel) return this.lead();
		this.channel = new BroadcastChannel(this.name);
		this.channel.onmessage = ({data}) => this.hear(data);
		// A leader that is frozen keeps its lock.
		this.ticker = tick(this.options, () => !this.connection && isPast(this.heardAt, this.options.stale) && this.queue({steal: true}));
		this.queue();
	}

	stop() {
		this.say({remove: [...this.legs.keys()]});
		this.yield();
		this.release?.();
		this.channel?.close();
		clearInterval(this.ticker);
		this.round = this.channel = null;
	}

	queue(how = {}) {
		const {round} = this;
		this.heardAt = Date.now();
		navigator.locks.request(this.name, how, () => round === this.round && !this.connection && new Promise(resolve => {
			this.release = resolve;
			this.lead();
		})).catch(({name}) => {
			if (round !== this.round) return;
			if (name !== "AbortError") return this.lead();
			this.yield(); // stolen
			this.queue();
		});
		this.say({who: 1});
	}

	say(what) {
		const said = {tab: this.tab, ...what};
		this.channel?.postMessage(said);
		this.hear(said);
	}

	hear({tab, leads, to, frame, who, add = [], remove = []}) {
		if (this.connection) {
			if (who) this.say({leads: 1});
			this.want(add, tab);
			remove.forEach(key => this.drop(key));
		}
		if (!leads || this.connection && tab !== this.tab) return;
		this.heardAt = Date.now();
		if (this.leader !== tab || to === this.tab) this.renew(tab);
		else if (frame) this.legs.get(frame[0])?.take(...frame);
		else this.say({add: this.list()});
	}

	lead() {
		this.wanted = new Map();
		this.connection = new Connection(this.options, "", ["mux", "mux-open"], this);
		this.say({leads: 1});
		this.connection.start();
	}

	yield() {
		this.connection?.stop();
		this.connection = this.secret = this.leader = null;
	}

	list() {
		return [...this.legs.values()].map(leg => leg.entry);
	}

	renew(leader) {
		const old = [...this.legs];
		this.leader = leader;
		this.legs.clear();
		old.forEach(([, leg]) => this.enter(leg));
		this.say({remove: old.map(([key]) => key), add: this.list()});
	}

	enter(leg) {
		this.legs.set(leg.key = `${this.tab}${++this.count}`, leg);
	}

	add(leg) {
		this.enter(leg);
		if (this.round) this.say({add: [leg.entry]});
		else this.start();
	}

	remove({key}) {
		if (!this.legs.delete(key)) return;
		this.say({remove: [key]});
		if (!this.legs.size) this.stop();
	}

	/** With the first nine; the rest goes by POST. */
	address() {
		const all = [...this.wanted.values()];
		this.unsaid = [];
		this.secret = this.connection.lastId = "";
		all.forEach((one, i) => one.isAsked = i < 9);
		return `${this.options.mux}?s=${encodeURIComponent(JSON.stringify(all.filter(one => one.isAsked).map(one => one.entry)))}`;
	}

	want(entries, tab) {
		for (const entry of entries) {
			const [key] = entry, one = this.wanted.get(key) ?? {entry, tab};
			one.at = Date.now();
			this.wanted.set(key, one);
		}
		this.change();
	}

	drop(key) {
		this.unsaid.push(key);
		this.wanted.delete(key);
		this.change();
	}

	/** One request at a time. */
	change() {
		const {connection, options, secret} = this;
		this.turn = Promise.resolve(this.turn).then(async () => {
			if (!secret || secret !== this.secret || !connection.source) return;
			const missing = [...this.wanted.values()].filter(one => !one.isAsked), remove = this.unsaid.splice(0);
			if (!missing.length && !remove.length) return;
			for (const one of missing) one.isAsked = true;
			const body = JSON.stringify({remove, add: missing.map(one => one.entry)});
			const response = await request(options, `${connection.server}${options.mux}?connection=${secret}`, {method: "POST", body}).catch(() => {});
			if (!response?.ok && secret === this.secret) connection.again();
		});
	}

	onBeat() {
		if (!isPast(this.beatAt, this.options.stale / 4)) return;
		this.beatAt = Date.now();
		this.say({leads: 1});
		for (const [key, one] of this.wanted) {
			if (!isPast(one.at, this.options.stale)) continue;
			this.drop(key);
			this.say({leads: 1, to: one.tab});
		}
	}

	on(kind, value) {
		if (kind === "message") return this.take(value);
		if (/lost|error/.test(kind) || value === "gone") for (const leg of [...this.legs.values()]) leg.owner.on(kind, value);
	}

	take({type, data}) {
		if (type === "mux-open") {
			this.secret = JSON.parse(data).connection;
			return this.change();
		}
		const eol = data.indexOf("\n"), frame = [...JSON.parse(data.slice(0, eol)), data.slice(eol + 1)];
		const [key, name, id, text] = frame, one = this.wanted.get(key);
		if (!one) return;
		if (name === "mux-refused" && mayHeal(this.options, JSON.parse(text).status)) return this.connection.again();
		one.entry[2] = id || one.entry[2];
		if (name.startsWith("mux-")) this.wanted.delete(key);
		if (one.tab === this.tab) this.legs.get(key)?.take(...frame);
		else this.channel.postMessage({tab: this.tab, leads: 1, frame});
	}
}

class Leg {
	constructor(mux, path, owner) {
		Object.assign(this, {mux, options: mux.options, path, owner, lastId: "", failures: 0});
	}

	get entry() {
		return [this.key, this.options.base + this.path, this.lastId];
	}

	start() {
		this.mux.add(this);
	}

	follow() {}

	take(key, name, id, data) {
		const said = name.startsWith("mux-") && JSON.parse(data);
		this.lastId = id || this.lastId;
		if (name === "stream-open") this.failures = 0;
		if (!said) tell(this.owner, name, data, id);
		else if (said.for_good) this.owner.on("end", "gone");
		else if (name === "mux-end" || said.status === 429 || said.status === 503) this.again();
		else this.owner.on("error", failure(said.detail, said.status, said));
	}

	again() {
		this.stop();
		again(this, () => this.start());
	}

	stop() {
		clearTimeout(this.timer);
		this.mux.remove(this);
	}
}

class Subscription {
	constructor(sluice, path, {from = "", load = false, events = []} = {}) {
		const {options} = sluice;
		Object.assign(this, {sluice, path, listeners: [], names: new Set(events), key: `sluice ${options.servers[0]}${path}`});
		this.storage = load ? options.storage ?? globalThis.localStorage : null;
		this.ready = new Promise((resolve, reject) => Object.assign(this, {resolve, reject}));
		this.ready.catch(() => {});
		this.transport = options.mux ? new Leg(options.muxed ??= new Mux(options), path, this) : new Connection(options, path, this.names, this);
		this.transport.lastId = from || this.storage?.getItem(this.key) || "";
	}

	get lastId() {
		return this.transport.lastId;
	}

	listen(name, fn) {
		if (typeof name === "function") [name, fn] = ["", name];
		if (name && ![...EVENTS, ...this.names].includes(name)) {
			this.names.add(name);
			this.transport.follow(name);
		}
		this.listeners.push({name, fn});
		return this;
	}

	keep() {
		try {
			this.storage?.setItem(this.key, this.lastId);
		} catch {}
	}

	on(kind, value) {
		this.keep();
		if (kind === "end" || kind === "error") {
			this.stop();
			this.reject(kind === "end" ? failure(value) : value);
		}
		if (/open|message/.test(kind)) this.resolve(value);
		if (kind !== "message") return this[kind]?.(value);
		for (const {name, fn} of this.listeners) {
			try {
				if (!name || name === value.type) fn(value);
			} catch (error) {
				setTimeout(() => { throw error; });
			}
		}
	}

	stop() {
		this.transport.stop();
		this.sluice.subscriptions.delete(this);
	}
}

export class Sluice {
	constructor(base = "", options = {}) {
		this.options = {...DEFAULTS, ...options, base: base.replace(/^https?:..[^/]+/, "")};
		this.options.servers = this.options.servers.map(server => server + base);
		this.subscriptions = new Set();
		this.isConnected = true;
	}

	subscribe(path, params, options) {
		if (typeof params === "string") [params, options] = [{}, {from: params}];
		const subscription = new Subscription(this, expand(path, params), options);
		this.subscriptions.add(subscription);
		if (this.isConnected) subscription.transport.start();
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
		for (const {transport} of this.subscriptions) transport.start();
	}

	disconnect() {
		this.isConnected = false;
		for (const {transport} of this.subscriptions) transport.stop();
	}

	async #ask(path, init, tries = 1) {
		const {servers, backoff: bounds} = this.options;
		for (let n = 0; ; n++) {
			const response = await request(this.options, servers[n % servers.length] + path, init).catch(error => error);
			const {ok, status = 500, statusText} = response;
			if (status < 500 || status === 504 || n + 1 >= tries || init.signal?.aborted) {
				if (!response.json) throw response;
				const body = await response.json().catch(() => ({}));
				if (ok) return body;
				throw failure(body.detail ?? statusText, status, body);
			}
			await new Promise(resolve => setTimeout(resolve, backoff(bounds, n)));
		}
	}

	async publish(path, value, params, {tries = 4} = {}) {
		const headers = {"Content-Type": "application/json", "Idempotency-Key": unique() + unique()};
		return this.#ask(expand(path, params), {method: "POST", body: JSON.stringify(value), headers}, tries);
	}

	async once(name, id, {timeout = 10000, after, signal = AbortSignal.timeout(timeout + 5000)} = {}) {
		const query = new URLSearchParams({timeout, ...(after && {after})});
		return this.#ask(`${expand(this.options.waitPath, {name, id})}?${query}`, {signal});
	}
}
