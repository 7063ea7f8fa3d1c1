// The client library against an EventSource of our own: what it does when a stream opens, fails, falls silent, ends.
import assert from "node:assert/strict";
import {spawnSync} from "node:child_process";
import {readFileSync} from "node:fs";
import {test} from "node:test";
import {gzipSync} from "node:zlib";
import {backoff, expand, isOlder, Sluice} from "../../www/sluice.js";

/** What the page would have. All that were made are in Source.all. */
function fakes({statuses = []} = {}) {
	class Source {
		static all = [];
		constructor(url, init) {
			Object.assign(this, {url, init, listeners: {}, readyState: 0});
			Source.all.push(this);
		}
		addEventListener(name, fn) {
			(this.listeners[name] ??= []).push(fn);
		}
		emit(type, data = "", lastEventId = "") {
			for (const fn of this.listeners[type] ?? []) fn({type, data: typeof data === "string" ? data : JSON.stringify(data), lastEventId});
		}
		opened(from = "") {
			this.readyState = 1;
			this.emit("stream-open", {resumed: false, from: from || null}, from);
		}
		fail(readyState = 0) {
			this.readyState = readyState;
			this.onerror?.();
		}
		close() {
			this.isClosed = true;
		}
	}
	const asked = [];
	const fetch = async (url, init) => {
		asked.push({url, ...init});
		const status = statuses.shift() ?? 200;
		if (status === "fails") throw new TypeError("no network");
		return {status, ok: status < 400, statusText: "text", json: async () => ({status, n: asked.length})};
	};
	return {Source, asked, options: {EventSource: Source, fetch, backoff: [1, 2]}};
}

const sourceOf = async (Source, n) => {
	const until = Date.now() + 30_000;
	while (Source.all.length < n) {
		assert.ok(Date.now() < until, `${n} sources; there are ${Source.all.length}`);
		await new Promise(resolve => setTimeout(resolve, 1));
	}
	return Source.all[n - 1];
};

const until = async (condition, what) => {
	for (const end = Date.now() + 30_000; !condition(); await new Promise(resolve => setTimeout(resolve, 2))) assert.ok(Date.now() < end, what);
};

const settle = () => new Promise(resolve => setTimeout(resolve, 20));

test("it is small", () => {
	assert.ok(gzipSync(readFileSync(new URL("../../www/sluice.js", import.meta.url)), {level: 9}).length <= 7.5 * 1024);
});

test("templates", () => {
	assert.equal(expand("/jobs/{id}/x?a={b}", {id: "a/b", b: 1}), "/jobs/a%2Fb/x?a=1");
	assert.throws(() => expand("/jobs/{id}"), /needs id/);
});

test("full jitter doubles up to a bound", () => {
	assert.deepEqual([0, 1, 2, 9].map(n => backoff([100, 1000], n, () => 1)), [100, 200, 400, 1000]);
	assert.equal(backoff([100, 1000], 5, () => 0), 0);
});

test("listen, ready, stop", async () => {
	const {Source, options} = fakes();
	const got = [];
	const one = new Sluice("/events", options).subscribe("/jobs/{id}", {id: 7});
	one.listen(m => got.push(["all", m.type, m.json.n])).listen("progress", m => got.push(["progress", m.data]));
	const source = await sourceOf(Source, 1);
	assert.equal(source.url, "/events/jobs/7");
	source.opened("5-0");
	assert.deepEqual(await one.ready, {resumed: false, from: "5-0"});
	source.emit("message", {n: 1}, "6-0");
	source.emit("progress", {n: 2}, "7-0");
	source.emit("keep-alive");
	assert.deepEqual(got, [["all", "message", 1], ["all", "progress", 2], ["progress", '{"n":2}']]);
	assert.equal(one.lastId, "7-0");
	one.stop();
	assert.ok(source.isClosed);
	source.emit("message", {n: 3});
	assert.equal(got.length, 3);
});

test("it comes back where it stood, to the next server, with a fresh token", async () => {
	const {Source, options} = fakes();
	let n = 0;
	const sluice = new Sluice("/events", {...options, servers: ["https://a.example", "https://b.example"], token: async () => `t${++n}`});
	const one = sluice.subscribe("/x?y=1");
	const first = await sourceOf(Source, 1);
	assert.equal(first.url, "https://a.example/events/x?y=1&token=t1");
	first.opened();
	first.emit("message", "1", "6-0");
	first.fail();
	const second = await sourceOf(Source, 2);
	assert.ok(first.isClosed);
	assert.equal(second.url, "https://b.example/events/x?y=1&token=t2&last_event_id=6-0");
	one.stop();
});

test("after a 5xx it comes back; after a 403 and a 204 it does not", async () => {
	for (const [status, n, told] of [[503, 2, ""], ["fails", 2, ""], [429, 2, ""], [403, 1, "403"], [404, 1, "404"], [204, 1, "gone"]]) {
		const {Source, options, asked} = fakes({statuses: [status]});
		const one = new Sluice("", options).subscribe("/x");
		let said = "";
		one.end = reason => said = reason;
		one.error = error => said = String(error.status);
		(await sourceOf(Source, 1)).fail(2);
		await settle();
		assert.equal(Source.all.length, n, String(status));
		assert.equal(asked[0].method, "HEAD");
		assert.equal(said, told);
		one.stop();
	}
});

test("a 401 heals with a token that is a function, and only then", async () => {
	for (const [token, n] of [["t", 1], [() => "t", 2]]) {
		const {Source, options} = fakes({statuses: [401]});
		const one = new Sluice("", {...options, token}).subscribe("/x");
		(await sourceOf(Source, 1)).fail(2);
		await settle();
		assert.equal(Source.all.length, n);
		one.stop();
	}
});

test("an end for good is the end; another is not", async () => {
	const {Source, options, asked} = fakes();
	const one = new Sluice("", options).subscribe("/x");
	let said = "";
	one.end = reason => said = reason;
	const first = await sourceOf(Source, 1);
	first.opened("1-0");
	first.emit("stream-end", {reason: "drain"});
	assert.equal(said, "");
	first.fail();
	const second = await sourceOf(Source, 2);
	second.emit("stream-done", {reason: "until"}, "0.end");
	assert.equal(said, "until");
	second.fail(2);
	await settle();
	assert.equal(Source.all.length, 2);
	assert.equal(asked.length, 0, "not even a request that is answered 204");
});

test("lost says what the server said", async () => {
	const {Source, options} = fakes({statuses: [503]});
	const one = new Sluice("", options).subscribe("/x"), said = [];
	one.lost = status => said.push(status);
	(await sourceOf(Source, 1)).fail();
	(await sourceOf(Source, 2)).fail(2);
	await sourceOf(Source, 3);
	assert.deepEqual(said, [undefined, 503]);
	one.stop();
});

test("a 401 asks refresh, once for all who are told it", async () => {
	for (const [answers, told] of [[[true], ""], [[false], "401"], [["throws"], "401"]]) {
		const {Source, options} = fakes({statuses: [401, 401]});
		let n = 0;
		const refresh = async () => {
			await settle();
			const answer = answers[n++];
			if (answer === "throws") throw new Error("no network");
			return answer;
		};
		const sluice = new Sluice("", {...options, refresh}), said = [];
		const all = ["/x", "/y"].map(path => sluice.subscribe(path));
		for (const one of all) one.error = error => said.push(`${error.status}`);
		await sourceOf(Source, 2);
		Source.all.slice(0, 2).forEach(source => source.fail(2));
		if (told) await until(() => said.length === 2, "both are refused");
		else await sourceOf(Source, 4);
		assert.deepEqual(said, told ? [told, told] : []);
		assert.equal(n, 1);
		for (const one of all) one.stop();
	}
});

test("a publish that is told 401 asks refresh, too, and is said once more", async () => {
	let n = 0;
	const {asked, options} = fakes({statuses: [401, 202, 401, 401]});
	const sluice = new Sluice("", {...options, refresh: () => ++n > 0});
	assert.equal((await sluice.publish("/x", 1)).status, 202);
	await assert.rejects(sluice.publish("/x", 1), {status: 401});
	assert.deepEqual([asked.length, n], [4, 2]);
});

test("a mux asks refresh for one that is told 401, and opens anew", async () => {
	const {Source, options} = fakes();
	let n = 0;
	const sluice = new Sluice("", {...options, mux: "/mux", refresh: async () => ++n < 2}), said = [];
	sluice.subscribe("/a").error = error => said.push(error.status);
	for (let i = 1; i <= 2; i++) {
		const source = await sourceOf(Source, i);
		source.emit("mux-open", {connection: "abc"});
		source.emit("mux", frame(wanted(source)[0][0], "mux-refused", "", '{"status":401,"detail":"no"}'));
	}
	await until(() => said.length, "refused for good");
	assert.deepEqual([said, n, Source.all.length], [[401], 2, 2]);
});

test("without an EventSource the subscription says so, and one that comes later is seen", async () => {
	const {Source, options} = fakes();
	const {EventSource: _, ...rest} = options;
	const sluice = new Sluice("", rest);
	if (!globalThis.EventSource) {
		const one = sluice.subscribe("/x");
		await assert.rejects(one.ready, /no EventSource/);
		assert.equal(sluice.subscriptions.size, 0);
	}
	globalThis.EventSource = Source;
	const one = sluice.subscribe("/x");
	delete globalThis.EventSource;
	globalThis.EventSource = Source;
	await sourceOf(Source, 1);
	one.stop();
	delete globalThis.EventSource;
});

test("a program that has no EventSource goes on", () => {
	const done = spawnSync(process.execPath, ["--input-type=module", "-e", `
		import {Sluice} from ${JSON.stringify(new URL("../../www/sluice.js", import.meta.url))};
		delete globalThis.EventSource;
		const one = new Sluice("http://127.0.0.1:9", {}).subscribe("/x");
		one.error = error => console.log(error.message);
	`], {encoding: "utf8", timeout: 20000});
	assert.deepEqual([done.status, done.stderr], [0, ""]);
	assert.match(done.stdout, /no EventSource/);
});

test("an address that EventSource does not take is told", async () => {
	const {options} = fakes();
	const one = new Sluice("", {...options, EventSource: class {
		constructor() { throw new SyntaxError("relative"); }
	}}).subscribe("/x");
	await assert.rejects(one.ready, /relative/);
});

test("where there is no document it is awake", async () => {
	const {Source, options} = fakes(), woken = {};
	globalThis.addEventListener = (name, fn) => woken[name] = fn;
	const one = new Sluice("", options).subscribe("/x");
	delete globalThis.addEventListener;
	await sourceOf(Source, 1);
	woken.online({type: "online"});
	await sourceOf(Source, 2);
	one.stop();
});

test("silence beyond the heartbeats is the end of a connection", async () => {
	const stale = 200;
	for (let isPunctual = false; !isPunctual;) { // a machine that lets a heartbeat wait for so long itself proves nothing
		const {Source, options} = fakes();
		const one = new Sluice("", {...options, stale}).subscribe("/x");
		const first = await sourceOf(Source, 1);
		first.opened();
		isPunctual = true;
		for (let i = 0, last = Date.now(); i < 12; i++, last = Date.now()) {
			await new Promise(resolve => setTimeout(resolve, 25));
			isPunctual &&= Date.now() - last < stale / 2;
			first.emit("keep-alive");
		}
		const n = Source.all.length;
		await sourceOf(Source, n + 1);
		const {isClosed} = first;
		one.stop();
		assert.ok(isClosed);
		assert.ok(n === 1 || !isPunctual, `${n} connections`);
	}
});

test("a reset is told", async () => {
	const {Source, options} = fakes();
	const one = new Sluice("", options).subscribe("/x");
	const said = [];
	one.reset = reason => said.push(reason);
	(await sourceOf(Source, 1)).emit("stream-reset", {reason: "trimmed"});
	assert.deepEqual(said, ["trimmed"]);
	one.stop();
});

test("positions are kept and loaded", async () => {
	const {Source, options} = fakes();
	const kept = new Map();
	const storage = {getItem: k => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v)};
	const sluice = new Sluice("", {...options, storage});
	sluice.subscribe("/x", {}, {load: true});
	(await sourceOf(Source, 1)).emit("message", "1", "9-0");
	sluice.unsubscribe("/x");
	sluice.subscribe("/x", {}, {load: true});
	assert.equal((await sourceOf(Source, 2)).url, "/x?last_event_id=9-0");
	sluice.unsubscribe("/x");
	sluice.subscribe("/x", "3-0");
	assert.equal((await sourceOf(Source, 3)).url, "/x?last_event_id=3-0");
	sluice.unsubscribe("/x");
	assert.equal(sluice.subscriptions.size, 0);
});

test("disconnect and connect", async () => {
	const {Source, options} = fakes();
	const sluice = new Sluice("", options);
	const one = sluice.subscribe("/x");
	const first = await sourceOf(Source, 1);
	first.emit("message", "1", "4-0");
	sluice.disconnect();
	assert.ok(first.isClosed);
	first.fail();
	await settle();
	assert.equal(Source.all.length, 1);
	sluice.connect();
	assert.equal((await sourceOf(Source, 2)).url, "/x?last_event_id=4-0");
	one.stop();
});

test("a publish that fails is said again under its key", async () => {
	const {asked, options} = fakes({statuses: ["fails", 503, 202]});
	const answer = await new Sluice("/events", {...options, token: "t"}).publish("/chat/{room}", {text: "hi"}, {room: "a"});
	assert.equal(answer.status, 202);
	assert.equal(asked.length, 3);
	assert.equal(new Set(asked.map(a => a.headers["Idempotency-Key"])).size, 1);
	assert.match(asked[0].headers["Idempotency-Key"], /^[A-Za-z0-9_.-]{10,128}$/);
	assert.equal(asked[0].headers.Authorization, "Bearer t");
	assert.deepEqual([asked[0].url, asked[0].method, asked[0].body], ["/events/chat/a", "POST", '{"text":"hi"}']);
});

test("a publish that is refused is not", async () => {
	const {asked, options} = fakes({statuses: [422]});
	await assert.rejects(new Sluice("", options).publish("/x", 1), {status: 422});
	assert.equal(asked.length, 1);
});

test("once", async () => {
	const {asked, options} = fakes({statuses: [200, 504]});
	const sluice = new Sluice("/events", options);
	assert.equal((await sluice.once("job", 7, {timeout: 500})).status, 200);
	assert.equal(asked[0].url, "/events/wait/job/7?timeout=500");
	await assert.rejects(sluice.once("job", 7), {status: 504});
});

// -- a list -------------------------------------------------------------------------------------------

/** A list, its table and what it was told to show. */
function lists(t, more = {}) {
	const {Source, options} = fakes();
	const it = {Source, table: new Map(), shown: [], changes: [], loads: [], gates: []};
	const load = async ({reason, signal}) => {
		it.loads.push(reason);
		const rows = [...it.table.values()];
		if (it.slow) await new Promise(resolve => it.gates.push(resolve));
		if (it.fails?.shift()) throw new Error("the database is away");
		assert.equal(typeof signal.aborted, "boolean");
		return rows;
	};
	const apply = (rows, changes) => {
		it.shown = rows.map(({id, version}) => `${id}:${version}`);
		it.changes.push(changes && changes.map(({key, row}) => [key, row?.version ?? null]));
	};
	it.put = (id, version, row = {}) => it.table.set(id, {id, version, ...row});
	it.event = (source, row, id = "", type = "message") => source.emit(type, row, id);
	it.list = new Sluice("", options).sync("/rows/{who}", {params: {who: 1}, load, apply, key: row => row.id, version: row => row.version, ...more});
	t.after(() => it.list.stop());
	return it;
}

test("a list is loaded once the stream is open, and what came meanwhile is applied behind it", async t => {
	const it = lists(t);
	it.put(1, 1);
	it.put(2, 5);
	it.slow = true;
	const source = await sourceOf(it.Source, 1);
	assert.equal(source.url, "/rows/1");
	await settle();
	assert.deepEqual(it.loads, [], "not before: what is published then would be missed");
	source.opened("1-0");
	await until(() => it.gates.length, "it reads");
	it.event(source, {id: 1, version: 2});
	it.event(source, {id: 2, version: 4});
	it.event(source, {id: 3, version: 1});
	assert.deepEqual(it.shown, []);
	it.gates[0]();
	await until(() => it.shown.length, "it is shown");
	assert.deepEqual(it.shown, ["1:2", "2:5", "3:1"]);
	it.event(source, {id: 2, version: 4});
	assert.equal(it.changes.length, 1, "what is older is left out");
	it.event(source, {id: 2, version: 6});
	assert.deepEqual(it.changes, [null, [[2, 6]]]);
	assert.deepEqual(it.list.rows.map(row => row.version), [2, 6, 1]);
});

test("what was deleted stays so, also when an older event or an older table says otherwise", async t => {
	const it = lists(t);
	it.put(7, 4);
	const source = await sourceOf(it.Source, 1);
	source.opened();
	await until(() => it.shown.length, "it is shown");
	it.event(source, {id: 7, version: 5, deleted: true});
	it.event(source, {id: 8, version: 1, deleted: true});
	it.event(source, {id: 7, version: 4});
	assert.deepEqual(it.shown, []);
	source.emit("stream-reset", {reason: "trimmed"});
	await until(() => it.changes.at(-1) === null, "it is loaded again");
	assert.deepEqual([it.shown, it.loads], [[], ["open", "trimmed"]]);
	it.event(source, {id: 7, version: 6});
	assert.deepEqual(it.shown, ["7:6"]);
});

test("a reset loads again, and the newest of several counts", async t => {
	const it = lists(t);
	it.put(1, 1);
	it.put(2, 1);
	const source = await sourceOf(it.Source, 1);
	source.opened();
	await until(() => it.shown.length, "it is shown");
	it.event(source, {id: 1, version: 9});
	it.slow = true;
	source.emit("stream-reset", {reason: "redis"});
	await until(() => it.gates.length === 1, "it reads");
	it.table.delete(2);
	it.put(3, 1);
	source.emit("stream-reset", {reason: "slow"});
	await until(() => it.gates.length === 2, "it reads again");
	it.gates[1]();
	await until(() => it.shown.length === 2, "it is shown");
	it.gates[0]();
	await settle();
	assert.deepEqual(it.shown, ["1:9", "3:1"], "ours is newer than a table that was read late");
	source.fail();
	(await sourceOf(it.Source, 2)).emit("stream-open", {resumed: true, from: "1-0"});
	await settle();
	assert.equal(it.loads.length, 3, "who has resumed has missed nothing");
	it.Source.all[1].fail();
	(await sourceOf(it.Source, 3)).opened();
	await until(() => it.loads.length === 4, "who has not may have");
	it.gates[2]();
});

test("a load that fails is tried again, and what comes meanwhile is held", async t => {
	const failures = [], it = lists(t, {failed: error => failures.push(error.message)});
	it.put(1, 1);
	it.fails = [true, true];
	const source = await sourceOf(it.Source, 1);
	source.opened();
	await until(() => it.loads.length, "it reads");
	it.event(source, {id: 2, version: 1});
	await until(() => it.shown.length, "it is shown");
	assert.deepEqual([it.shown, failures.length], [["1:1", "2:1"], 2]);
});

test("while the stream cannot be opened the table is shown", async t => {
	const it = lists(t, {patience: 10});
	it.put(1, 1);
	const source = await sourceOf(it.Source, 1);
	await until(() => it.shown.length, "it is shown");
	it.put(1, 2);
	source.opened();
	await until(() => it.shown[0] === "1:2", "it is loaded again");
	assert.deepEqual(it.loads, ["late", "open"]);
});

test("which version is older", () => {
	for (const [a, b, older] of [[1, 2, true], [2, 1, false], [1, 1, false], ["9", "10", true], ["10", "9", false],
		["9007199254740993", "9007199254740992", false], ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", true], ["9", 10, true],
		[new Date(1), new Date(2), true], [5n, 6, true], [undefined, 1, false], [1, undefined, false], [null, 1, false]]) {
		assert.equal(isOlder(a, b), older, `${a} and ${b}`);
	}
});

test("a thousand lists and a table that changes: each ends equal to it", async t => {
	let seed = 7;
	const dice = n => (seed = seed * 16807 % 2147483647) % n;
	const it = lists(t);
	it.slow = true;
	for (let version = 1, round = 0; round < 1000; round++) {
		const source = await sourceOf(it.Source, round + 1);
		const change = () => {
			const id = dice(20), isGone = dice(4) === 0, row = {id, version: version++, deleted: isGone};
			if (isGone) it.table.delete(id);
			else it.table.set(id, row);
			return row;
		};
		change(); // before it is open: nobody hears of it
		source.opened();
		const said = [];
		await null;
		for (let i = dice(5); i > 0; i--) it.event(source, change());
		it.gates.splice(0).forEach(open => open());
		await until(() => it.changes.length > round, "it is shown");
		for (let i = dice(5); i > 0; i--) {
			said.push(change());
			it.event(source, said.at(-1));
		}
		for (const {id, version} of said) it.event(source, {id, version: version - 1}); // stragglers
		assert.deepEqual(it.list.rows.map(row => `${row.id}:${row.version}`).sort(), [...it.table.values()].map(row => `${row.id}:${row.version}`).sort(), `round ${round}`);
		it.changes.length = round + 1;
		source.fail();
	}
});

const wanted = source => JSON.parse(new URL(source.url, "http://x").searchParams.get("s"));
const bodies = asked => asked.map(({body}) => JSON.parse(body));
const frame = (key, name, id, data) => `${JSON.stringify([key, name, id])}\n${data}`;

test("many subscriptions on one connection", async () => {
	const {Source, asked, options} = fakes();
	const sluice = new Sluice("https://x.example/events", {...options, mux: "/mux", token: "t", withCredentials: true});
	const got = [];
	const one = sluice.subscribe("/s/{id}", {id: 1}).listen(m => got.push(["one", m.type, m.data, m.id]));
	const two = sluice.subscribe("/s/2");
	two.listen("named", m => got.push(["two", m.json]));
	const source = await sourceOf(Source, 1);
	assert.ok(source.url.startsWith("https://x.example/events/mux?s=") && source.url.endsWith("&token=t"));
	const [[first, ...rest], [second]] = wanted(source);
	assert.deepEqual(rest, ["/events/s/1", ""]);
	source.opened();
	source.emit("mux-open", {connection: "abc"});
	source.emit("mux", frame(first, "stream-open", "", '{"resumed":false,"from":null}'));
	source.emit("mux", frame(first, "message", "5-0", "first\nsecond"), "5-0;");
	source.emit("mux", frame(second, "named", "", '{"n":1}'), "5-0;");
	assert.deepEqual(await one.ready, {resumed: false, from: null});
	assert.deepEqual(got, [["one", "message", "first\nsecond", "5-0"], ["two", {n: 1}]]);
	assert.equal(one.lastId, "5-0");
	const more = [3, 4].map(n => sluice.subscribe(`/s/${n}`));
	two.stop();
	await settle();
	assert.equal(asked.length, 1, "what comes at once goes at once");
	assert.equal(asked[0].url, "https://x.example/events/mux?connection=abc");
	assert.deepEqual([asked[0].headers.Authorization, asked[0].credentials], ["Bearer t", "include"]);
	assert.deepEqual(bodies(asked)[0].remove, [second]);
	assert.deepEqual(bodies(asked)[0].add.map(([, path]) => path), ["/events/s/3", "/events/s/4"]);
	source.fail();
	const again = await sourceOf(Source, 2);
	assert.deepEqual(wanted(again).map(([, path, id]) => [path, id]), [["/events/s/1", "5-0"], ["/events/s/3", ""], ["/events/s/4", ""]]);
	assert.ok(!again.url.includes("last_event_id"));
	for (const each of [one, ...more]) each.stop();
	assert.ok(again.isClosed);
	assert.equal(Source.all.length, 2);
});

test("an address has nine of them, a request the rest", async () => {
	const {Source, asked, options} = fakes();
	const sluice = new Sluice("", {...options, mux: "/mux"});
	const all = Array.from({length: 30}, (_, i) => sluice.subscribe(`/s/${i}`));
	const source = await sourceOf(Source, 1);
	assert.equal(wanted(source).length, 9);
	source.opened();
	source.emit("mux-open", {connection: "abc"});
	await settle();
	assert.equal(asked.length, 1);
	assert.equal(bodies(asked)[0].add.length, 21);
	for (const one of all) one.stop();
});

test("a subscription that is refused or ends is its own affair", async () => {
	const {Source, options} = fakes();
	const sluice = new Sluice("", {...options, mux: "/mux"});
	const said = [];
	const [one, two, three, four] = ["/a", "/b", "/c", "/d"].map(path => sluice.subscribe(path));
	one.error = error => said.push(["error", error.status, error.problem.detail]);
	two.end = reason => said.push(["end", reason]);
	four.error = error => said.push(["error", error.status]);
	const source = await sourceOf(Source, 1);
	const [a, b, c, d] = wanted(source).map(([key]) => key);
	source.emit("mux-open", {connection: "abc"});
	source.emit("mux", frame(a, "mux-refused", "", '{"status":403,"detail":"no"}'), "5-0;0.end");
	source.emit("mux", frame(b, "stream-done", "0.end", '{"reason":"until"}'), "5-0;0.end");
	source.emit("mux", frame(c, "message", "", "1"));
	source.emit("mux", frame(d, "mux-refused", "", '{"status":429}'));
	source.emit("stream-end", {reason: "drain"}, "5-0;0.end");
	assert.deepEqual(said, [["error", 403, "no"], ["end", "until"]]);
	await assert.rejects(one.ready, {status: 403});
	assert.equal(sluice.subscriptions.size, 2, "neither a drain nor a full house is the end");
	three.stop();
	four.stop();
});

test("a subscription that ends in passing is asked for under another key", async () => {
	const {Source, asked, options} = fakes();
	const sluice = new Sluice("", {...options, mux: "/mux"});
	const [one, two] = ["/a", "/b"].map(path => sluice.subscribe(path));
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "abc"});
	const [[key]] = wanted(source);
	source.emit("mux", frame(key, "message", "7-0", "1"));
	source.emit("mux", frame(key, "mux-end", "7-0", '{"for_good":false}'));
	await settle();
	const added = bodies(asked).flatMap(({add}) => add);
	assert.equal(added.length, 1);
	assert.notEqual(added[0][0], key);
	assert.deepEqual(added[0].slice(1), ["/a", "7-0"]);
	one.stop();
	two.stop();
});

// -- tabs ---------------------------------------------------------------------------------------------

/** Web Locks, as a browser has them. */
class Locks {
	constructor() {
		this.queues = new Map();
	}
	request(name, {steal}, fn) {
		return new Promise((resolve, reject) => {
			const queue = this.queues.get(name) ?? [];
			const robbed = steal && queue[0]?.isHeld ? queue.shift() : null;
			this.queues.set(name, steal ? [{fn, resolve, reject}, ...queue] : [...queue, {fn, resolve, reject}]);
			robbed?.reject(Object.assign(new Error("stolen"), {name: "AbortError"}));
			this.next(name);
		});
	}
	async next(name) {
		const [first] = this.queues.get(name);
		if (!first || first.isHeld) return;
		first.isHeld = true;
		await null;
		const value = await first.fn();
		first.resolve(value);
		if (this.queues.get(name)[0] !== first) return; // it was stolen
		this.queues.get(name).shift();
		this.next(name);
	}
}

/** Tabs of one browser, each with a subscription to the same path. */
async function tabs(t, n, more = {}) {
	const {Source, asked, options} = fakes();
	const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
	Object.defineProperty(globalThis, "navigator", {value: {locks: new Locks()}, configurable: true, writable: true});
	const all = Array.from({length: n}, () => {
		const sluice = new Sluice("", {...options, mux: "/mux", shared: t.name, ...more});
		const tab = {sluice, got: []};
		tab.one = sluice.subscribe("/s").listen(m => tab.got.push(m.data));
		return tab;
	});
	t.after(() => {
		for (const {sluice} of all) sluice.disconnect();
		if (before) Object.defineProperty(globalThis, "navigator", before);
		else delete globalThis.navigator;
	});
	return {Source, asked, all};
}

/** What the server has been asked for on this connection, by key: the last id. */
function keysOf(source, asked, secret) {
	const keys = new Map(wanted(source).map(([key, , id]) => [key, id]));
	for (const {url, body} of asked.filter(({url}) => url.endsWith(secret))) {
		const {add, remove} = JSON.parse(body);
		for (const key of remove) keys.delete(key);
		for (const [key, , id] of add) keys.set(key, id);
	}
	return keys;
}

test("all tabs have one connection, and each its own subscription on it", async t => {
	const {Source, asked, all} = await tabs(t, 3);
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "s1"});
	await until(() => keysOf(source, asked, "s1").size === 3, "three subscriptions");
	const keys = [...keysOf(source, asked, "s1").keys()];
	for (const key of keys) source.emit("mux", frame(key, "message", "1-0", "a"));
	await until(() => all.every(({got}) => got.length), "each has it");
	assert.equal(Source.all.length, 1);
	all[2].sluice.unsubscribe("/s");
	await until(() => keysOf(source, asked, "s1").size === 2, "the third has gone");
});

test("the next tab goes on where each tab stood", async t => {
	const {Source, asked, all} = await tabs(t, 3);
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "s1"});
	await until(() => keysOf(source, asked, "s1").size === 3, "three subscriptions");
	const keys = [...keysOf(source, asked, "s1").keys()];
	keys.forEach((key, i) => source.emit("mux", frame(key, "message", `${i}-0`, "a")));
	await until(() => all.every(({got}) => got.length), "each has it");
	all[0].sluice.disconnect();
	const next = await sourceOf(Source, 2);
	assert.ok(source.isClosed);
	next.opened();
	next.emit("mux-open", {connection: "s2"});
	await until(() => keysOf(next, asked, "s2").size === 2, "those of the others");
	const ids = [...keysOf(next, asked, "s2").entries()];
	assert.ok(ids.every(([key]) => !keys.includes(key)), "under new keys");
	assert.deepEqual(ids.map(([, id]) => id).sort(), ["1-0", "2-0"]);
	all[0].sluice.connect();
	await until(() => keysOf(next, asked, "s2").size === 3, "the first is back, as one of them");
	assert.equal(Source.all.length, 2);
});

test("a leader that is silent loses its place, and becomes one of them", async t => {
	const {Source, asked, all} = await tabs(t, 2, {sign: 30});
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "s1"});
	await until(() => keysOf(source, asked, "s1").size === 2, "two subscriptions");
	const leader = all[0].sluice.options.muxed, {say} = leader;
	const {channel} = leader, queued = [], hear = channel.onmessage;
	leader.say = () => {}; // frozen
	channel.onmessage = ({data}) => queued.push({data});
	source.close = () => {};
	const next = await sourceOf(Source, 2);
	leader.say = say;
	channel.onmessage = hear;
	queued.forEach(hear);
	next.opened();
	next.emit("mux-open", {connection: "s2"});
	const beat = setInterval(() => next.emit("keep-alive"), 10);
	t.after(() => clearInterval(beat));
	await until(() => keysOf(next, asked, "s2").size === 2, "both on the new one");
	assert.equal(leader.connection, null);
	const before = all[1].sluice.options.muxed.leader;
	all[1].sluice.options.muxed.hear({tab: leader.tab, leads: 1, frame: ["x"]});
	assert.equal(all[1].sluice.options.muxed.leader, before, "what a leader of before still says counts for nothing");
});

test("a leader that answers keeps its place, however slow its timers are", async t => {
	const {Source, asked, all} = await tabs(t, 2, {sign: 30});
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "s1"});
	await until(() => keysOf(source, asked, "s1").size === 2, "two subscriptions");
	const leader = all[0].sluice.options.muxed, {askedAt} = all[1].sluice.options.muxed;
	clearInterval(leader.ticker);
	await until(() => all[1].sluice.options.muxed.askedAt > askedAt + 150, "it is asked again and again");
	assert.equal(Source.all.length, 1);
	assert.ok(leader.connection);
});

test("a lost connection is told in every tab, and one that is refused is tried by the next", async t => {
	const {Source, asked, all} = await tabs(t, 2, {});
	const said = [];
	all.forEach(({one}, i) => {
		one.lost = status => said.push([i, "lost", status]);
		one.error = error => said.push([i, "error", error.status]);
	});
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "s1"});
	await until(() => keysOf(source, asked, "s1").size === 2, "two subscriptions");
	source.fail();
	await until(() => said.length === 2, "both know that it is lost");
	const next = await sourceOf(Source, 2);
	next.opened();
	for (const {sluice} of all) sluice.options.fetch = async () => ({status: 403});
	next.fail(2);
	(await sourceOf(Source, 3)).fail(2);
	await until(() => said.length === 4, "both know that it is refused");
	assert.deepEqual(said.sort(), [[0, "error", 403], [0, "lost", undefined], [1, "error", 403], [1, "lost", undefined]]);
});

test("a tab that was frozen is dropped, and asks anew from where it stands", async t => {
	const {Source, asked, all} = await tabs(t, 2, {stale: 400});
	const source = await sourceOf(Source, 1);
	source.opened();
	source.emit("mux-open", {connection: "s1"});
	const beat = setInterval(() => source.emit("keep-alive"), 10);
	t.after(() => clearInterval(beat));
	await until(() => keysOf(source, asked, "s1").size === 2, "two subscriptions");
	const tab = all[1].sluice.options.muxed, {channel} = tab, queued = [];
	const [key] = tab.legs.keys();
	const hear = channel.onmessage;
	clearInterval(tab.ticker); // frozen
	channel.onmessage = ({data}) => queued.push({data});
	source.emit("mux", frame(key, "message", "4-0", "a"));
	await until(() => keysOf(source, asked, "s1").size === 1, "it is dropped");
	source.emit("mux", frame(key, "message", "5-0", "b")); // it was under way
	channel.onmessage = hear;
	queued.forEach(hear);
	await until(() => keysOf(source, asked, "s1").size === 2, "it is back");
	assert.deepEqual([...keysOf(source, asked, "s1").values()].sort(), ["", "4-0"]);
	assert.deepEqual(all[1].got, ["a"], "the other comes again, from the server");
	assert.equal(Source.all.length, 1);
});
