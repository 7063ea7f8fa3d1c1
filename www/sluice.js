// What EventSource lacks; see sluice.d.ts.

const EVENTS = ["message", "stream-open", "stream-reset", "stream-end", "stream-done", "keep-alive"];
const WAKERS = ["visibilitychange", "online", "pageshow"];

const DEFAULTS = {
	servers: [""],
	token: null,
	tokenParameter: "token",
	refresh: null,
	withCredentials: false,
	stale: 45000,
	backoff: [500, 4000],
	mux: "",
	shared: true,
	sign: 3000,
	waitPath: "/wait/{name}/{id}",
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

/** A fault in what the page does with an event is the page's, and told where its faults are. */
function calm(fn, ...args) {
	try {
		fn(...args);
	} catch (error) {
		setTimeout(() => { throw error; });
	}
}

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

/** Whether a 401 is worth another try: asked once, however many are told it at the same time. */
function heal(options, status) {
	if (status !== 401) return false;
	if (!options.refresh) return typeof options.token === "function";
	return options.healing ??= (async () => options.refresh())().catch(() => false).finally(() => options.healing = null);
}

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
		const wake = ({type}) => (globalThis.document?.hidden || this.source && type !== "online" && !this.isStale()) || this.open();
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
		const {withCredentials, EventSource = globalThis.EventSource} = this.options;
		try {
			this.source = new EventSource(url, {withCredentials});
		} catch (error) {
			return this.fail(failure(EventSource ? String(error) : "there is no EventSource here: give one as an option"));
		}
		const {source} = this;
		source.onerror = () => round === this.round && this.onError(source.readyState === 2);
		for (const name of new Set([...EVENTS, ...this.names])) this.follow(name);
	}

	follow(name) {
		const {round} = this;
		this.source?.addEventListener(name, event => round === this.round && this.onEvent(event));
	}

	heard() {
		this.heardAt = Date.now();
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
		const status = isRefused ? (await request({...options, token: ""}, asked, {method: "HEAD"}).catch(() => {}))?.status : undefined;
		const isOver = status === 204 || status >= 400 && status < 500 && status !== 429 && !await heal(options, status);
		if (round !== this.round) return;
		if (!isOver) return this.again(status);
		if (status !== 204) return this.fail(failure(`${asked.replace(/[?].*/, "")}: ${status}`, status));
		this.stop();
		this.owner.on("end", "gone");
	}

	fail(error) {
		this.stop();
		this.owner.on("error", error);
	}

	/** status: what the server said, if it is known. */
	again(status) {
		this.close();
		if (isPast(this.openedAt, 10000)) this.failures = 0;
		this.openedAt = NaN;
		this.owner.on("lost", status);
		again(this, () => this.open());
	}
}

/**
 * All subscriptions of all tabs on one Connection: that of the tab with the lock. The next one is asked anew, under new keys.
 *
 * Tabs tell each other by BroadcastChannel. The leader signs with its term, a number that grows; what comes from an earlier
 * term is of a leader that was frozen and has lost its place. Timers of hidden tabs are slow, so before its place is taken
 * a silent leader is asked, which wakes it at once unless it is frozen.
 */
class Mux {
	constructor(options) {
		const {servers, mux, shared, token} = options;
		Object.assign(this, {options, tab: unique(), count: 0, term: 0, unsaid: [], legs: new Map()});
		this.name = JSON.stringify(["sluice", servers, mux, shared, token]);
		// Chromium tells a page that it freezes, and lets it answer even then: it must not keep the connection.
		for (const [out, back] of [["pagehide", "pageshow"], ["freeze", "resume"]]) {
			globalThis.addEventListener?.(out, () => this.stop(), true);
			globalThis.addEventListener?.(back, () => this.round === null && this.legs.size && this.start(), true);
		}
	}

	start() {
		const {locks} = globalThis.navigator ?? {}, {sign} = this.options;
		this.round = {};
		this.ticker = setInterval(() => this.tick(), Math.min(sign / 3, 1000));
		if (!this.options.shared || !locks || !globalThis.BroadcastChannel) return this.lead();
		this.channel = new BroadcastChannel(this.name);
		this.channel.onmessage = ({data}) => this.hear(data);
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
		this.ask();
	}

	ask() {
		this.askedAt = Date.now();
		this.say({who: 1});
	}

	tick() {
		const {sign} = this.options;
		if (this.connection) {
			if (isPast(this.signedAt, sign - 5)) this.sign();
			this.roll();
		} else if (isPast(this.heardAt, sign * 8 / 3) && this.askedAt > this.heardAt && isPast(this.askedAt, sign / 2)) {
			this.queue({steal: true});
		} else if (isPast(this.heardAt, sign * 5 / 3) && !(this.askedAt > this.heardAt)) {
			this.ask();
		}
	}

	sign(more) {
		this.signedAt = Date.now();
		this.say({leads: this.term, ...more});
	}

	say(what) {
		const said = {tab: this.tab, ...what};
		this.channel?.postMessage(said);
		this.hear(said);
	}

	hear({tab, leads, to, frame, lost, roll, who, add = [], remove = []}) {
		if (this.connection) {
			if (who) this.sign();
			this.want(add, tab);
			remove.forEach(key => this.drop(key));
		}
		if (!leads || leads < this.term) return;
		if (tab !== this.tab) this.yield();
		this.term = leads;
		this.heardAt = Date.now();
		if (this.leader !== tab || to === this.tab) this.renew(tab);
		else if (frame) this.legs.get(frame[0])?.take(...frame);
		else if (roll) this.say({add: this.list()});
		if (lost) this.tellAll("lost", ...lost);
	}

	lead() {
		this.term = Math.max(Date.now(), this.term + 1);
		this.wanted = new Map();
		this.connection = new Connection(this.options, "", ["mux", "mux-open"], this);
		this.sign();
		this.connection.start();
	}

	yield() {
		if (!this.connection) return;
		this.connection.stop();
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
		if (this.wanted.delete(key)) this.unsaid.push(key);
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

	/** Every tab says now and then what it wants; what nobody wants any more, as of a frozen tab, is dropped. */
	roll() {
		const patience = this.options.stale || 45000;
		if (!isPast(this.rolledAt ??= Date.now(), patience / 4)) return;
		this.rolledAt = Date.now();
		this.sign({roll: 1});
		for (const [key, one] of this.wanted) {
			if (!isPast(one.at, patience)) continue;
			this.drop(key);
			this.sign({to: one.tab});
		}
	}

	on(kind, value) {
		if (kind === "message") return this.take(value);
		if (kind === "lost") this.sign({lost: [value]});
		else if (kind === "error" || value === "gone") this.tellAll(kind, value); // the next tab tries by itself
	}

	tellAll(kind, value) {
		for (const {owner} of [...this.legs.values()]) owner.on(kind, value);
	}

	take({type, data}) {
		if (type === "mux-open") {
			this.secret = JSON.parse(data).connection;
			return this.change();
		}
		const eol = data.indexOf("\n"), frame = [...JSON.parse(data.slice(0, eol)), data.slice(eol + 1)];
		const [key, name, id, text] = frame, one = this.wanted.get(key);
		if (!one) return;
		if (name === "mux-refused" && JSON.parse(text).status === 401) return this.refuse(frame, one);
		this.pass(frame, one);
	}

	pass(frame, one) {
		const [key, name, id] = frame;
		one.entry[2] = id || one.entry[2];
		if (name.startsWith("mux-") || name === "stream-done") this.wanted.delete(key);
		if (one.tab === this.tab) this.legs.get(key)?.take(...frame);
		else this.channel.postMessage({tab: this.tab, leads: this.term, frame});
	}

	async refuse(frame, one) {
		const {connection} = this, isHealed = await heal(this.options, 401);
		if (connection !== this.connection || this.wanted.get(frame[0]) !== one) return;
		if (isHealed) connection.again(401);
		else this.pass(frame, one);
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

/** A page without an origin of its own may not even ask for it. */
function storageHere() {
	try {
		return globalThis.localStorage;
	} catch {
		return null;
	}
}

class Subscription {
	constructor(sluice, path, {from = "", load = false, events = []} = {}) {
		const {options} = sluice;
		Object.assign(this, {sluice, path, listeners: [], names: new Set(events), key: `sluice ${options.servers[0]}${path}`});
		this.storage = load ? options.storage ?? storageHere() : null;
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
		this.list?.on(kind, value);
		if (kind !== "message") return this[kind]?.(value);
		for (const {name, fn} of this.listeners) {
			if (!name || name === value.type) calm(fn, value);
		}
	}

	stop() {
		this.transport.stop();
		this.list?.stop();
		this.sluice.subscriptions.delete(this);
	}

	get rows() {
		return this.list && [...this.list.rows.values()];
	}

	reload() {
		this.list?.begin("asked");
	}
}

/** Integers of any length by their value, all else (numbers, dates, texts such as ISO times) as it compares. */
export function isOlder(a, b) {
	if (a == null || b == null) return false;
	const [x, y] = [a, b].map(v => typeof v === "string" && /^[0-9]+$/.test(v) ? BigInt(v) : v);
	return typeof x === typeof y || typeof x !== "string" && typeof y !== "string" ? x < y : String(a) < String(b);
}

/**
 * Rows of the site's own database, kept up to date by a stream: what was deleted is remembered by its version,
 * so that an older event, or a list that was read before, does not bring it back.
 */
class List {
	static MOST_GRAVES = 10000;

	constructor(subscription, {key = row => row.id, version = row => row.version, row = message => message.json, events = [],
		isDeleted = (row, message) => row.deleted === true || message.type === "delete", patience = 3000, ...rest}) {
		Object.assign(this, {subscription, key, version, row, isDeleted, held: [], rows: new Map(), graves: new Map(), ...rest});
		for (const name of ["message", ...events]) subscription.listen(name, message => this.take(message));
		// While the stream cannot be opened the page has at least what the database says.
		this.timer = setTimeout(() => this.begin("late"), patience);
		this.failures = 0;
	}

	on(kind, value) {
		if (kind === "reset") this.begin(value);
		else if (kind === "open" && !(this.wasOpen && value.resumed)) this.begin("open");
		if (kind === "open") this.wasOpen = true;
	}

	/** Whatever comes meanwhile is held, for it may be newer than what is read. */
	async begin(reason) {
		this.stop();
		const {signal} = this.reading = new AbortController();
		try {
			const rows = await this.load({reason, signal});
			if (signal.aborted) return;
			this.failures = 0;
			this.replace(rows);
		} catch (error) {
			if (signal.aborted) return;
			this.failed?.(error);
			this.timer = setTimeout(() => this.begin(reason), backoff(this.subscription.sluice.options.backoff, this.failures++));
		}
	}

	stop() {
		clearTimeout(this.timer);
		this.reading?.abort();
	}

	replace(rows) {
		const before = this.rows, held = this.held;
		const versionOf = key => before.has(key) ? this.version(before.get(key)) : this.graves.get(key);
		const all = [...rows].map(row => [this.key(row), row]).map(([key, row]) =>
			isOlder(this.version(row), versionOf(key)) ? [key, before.get(key)] : [key, row]);
		this.rows = new Map(all.filter(([, row]) => row !== undefined));
		this.reading = null;
		this.held = [];
		for (const change of held) this.put(change);
		calm(this.apply, [...this.rows.values()], null);
	}

	take(message) {
		const row = this.row(message), key = this.key(row);
		if (key === undefined) throw new TypeError(`a row without a key: ${message.data}`);
		const change = {key, row: this.isDeleted(row, message) ? null : row, version: this.version(row)};
		if (this.reading || !this.wasOpen) this.held.push(change);
		else if (this.put(change)) this.apply([...this.rows.values()], [change]);
	}

	put({key, row, version}) {
		const {rows, graves} = this;
		if (isOlder(version, rows.has(key) ? this.version(rows.get(key)) : graves.get(key))) return false;
		graves.delete(key);
		if (row) rows.set(key, row);
		else {
			rows.delete(key);
			graves.set(key, version);
			if (graves.size > List.MOST_GRAVES) graves.delete(graves.keys().next().value);
		}
		return true;
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

	/** A list from the site's own database, then live, without a gap. */
	sync(path, {params, from, ...options}) {
		const subscription = this.subscribe(path, params, {from, events: options.events});
		subscription.list = new List(subscription, options);
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
		for (let n = 0, isHealed = false; ; n++) {
			const response = await request(this.options, servers[n % servers.length] + path, init).catch(error => error);
			const {ok, status = 500, statusText} = response;
			if (!isHealed && (isHealed = await heal(this.options, status))) continue;
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
