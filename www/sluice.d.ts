/** What came: an event of a stream. */
export interface Message {
	type: string;
	data: string;
	/** "" on a route that cannot resume. */
	id: string;
	/** The data, parsed. Throws a SyntaxError if it is no JSON. */
	readonly json: any;
}

export interface Opened {
	resumed: boolean;
	from: string | null;
}

/** Why what came may not be all. */
export type Reset = "redis" | "trimmed" | "unknown-id" | "other" | "slow" | "snapshot" | "poison";

/** A Response, as far as it is looked at. */
export interface Answer {
	readonly ok: boolean;
	readonly status: number;
	readonly statusText: string;
	json(): Promise<any>;
}

/** An AbortSignal. */
export interface Signal {
	readonly aborted: boolean;
}

/** localStorage, or what does as it does. */
export interface Kept {
	getItem(key: string): string | null;
	setItem(key: string, value: string): void;
}

export type Params = Record<string, string | number>;

export interface Options {
	/** Origins that are tried in turn; "" is the page's own. */
	servers?: string[];
	/** For the parameter named tokenParameter, and for Authorization when publishing. A function is asked for each attempt. */
	token?: string | (() => string | Promise<string>) | null;
	tokenParameter?: string;
	/** Asked at a 401, before a subscription ends: true, and another attempt is made (a session was renewed, for one). */
	refresh?: (() => boolean | Promise<boolean>) | null;
	withCredentials?: boolean;
	/** Milliseconds without even a heartbeat ("keep-alive"), after which a connection is taken for dead; 0: never. */
	stale?: number;
	/** Milliseconds: the first wait is up to the first, later ones up to the second. */
	backoff?: [number, number];
	/** The path of a route with handler = mux: one connection for all subscriptions, of all tabs of the browser where it can (Web Locks, BroadcastChannel). */
	mux?: string;
	/** false: each tab has its own. A text: only tabs that say the same share one; name the user, if tabs may have different ones. */
	shared?: boolean | string;
	/** Milliseconds: so often the tab with the connection says that it is there; another takes over when it has been silent for 8/3 of that. */
	sign?: number;
	/** The path of a route with handler = wait, with {name} and {id}. */
	waitPath?: string;
	/** By default that of the browser, looked up when a connection is opened. */
	EventSource?: any;
	fetch?: (url: string, init?: any) => Promise<Answer>;
	storage?: Kept | null;
}

export interface SubscribeOptions {
	/** The id behind which it begins. */
	from?: string;
	/** Keep the position in localStorage, and begin there. */
	load?: boolean;
	/** Names of events besides "message"; listen() adds its own. */
	events?: string[];
}

/** Refused, with its status and the problem document, if there are any. */
export type Refusal = Error & {status?: number; problem?: any};

export interface Subscription {
	/** Once Redis has confirmed (on a route with announce = no, at the first event); rejects if the server refuses, or it is over. */
	ready: Promise<Opened>;
	readonly lastId: string;
	listen(fn: (message: Message) => void): this;
	listen(name: string, fn: (message: Message) => void): this;
	stop(): void;
	/** Each time that it is open. */
	open?: (said: Opened) => void;
	/** The connection is gone, and comes back by itself. The status is there if the server gave one. */
	lost?: (status?: number) => void;
	/** What came may not be all: fetch anew. */
	reset?: (reason: Reset) => void;
	/** For good: "until", "max_events", "abandoned", or "gone" if the server answers 204. */
	end?: (reason: string) => void;
	error?: (error: Refusal) => void;
}

export interface Change<Row, Key> {
	key: Key;
	/** null: it was deleted. */
	row: Row | null;
	version: any;
}

export interface SyncOptions<Row, Key> {
	params?: Params;
	/** The id behind which the stream begins, as `sluice cursor` told it when the page was rendered. */
	from?: string;
	/** The whole list, from the site's own database. Called once the stream is open, and again whenever something may have been missed. */
	load: (why: {reason: Reset | "open" | "late" | "asked"; signal: Signal}) => Iterable<Row> | Promise<Iterable<Row>>;
	/** Shows the list. changes is null when all of it was read anew. */
	apply: (rows: Row[], changes: Change<Row, Key>[] | null) => void;
	/** By default row.id. */
	key?: (row: Row) => Key;
	/** A number, a date or a text that grows with each change of a row. By default row.version. */
	version?: (row: Row) => any;
	/** The row of an event: by default its JSON. */
	row?: (message: Message) => Row;
	/** By default row.deleted === true, or an event named "delete". */
	isDeleted?: (row: Row, message: Message) => boolean;
	/** Names of events besides "message". */
	events?: string[];
	/** A load that failed. It is tried again. */
	failed?: (error: any) => void;
	/** Milliseconds that the stream may take to open before the list is read all the same (3000). */
	patience?: number;
}

export interface SyncedList<Row> extends Subscription {
	readonly rows: Row[];
	/** Read all of it anew. */
	reload(): void;
}

export class Sluice {
	constructor(base?: string, options?: Options);
	subscribe(path: string, params?: Params, options?: SubscribeOptions): Subscription;
	subscribe(path: string, from: string): Subscription;
	/** A list from the site's own database, then live, without a gap. */
	sync<Row = any, Key = any>(path: string, options: SyncOptions<Row, Key>): SyncedList<Row>;
	/** Stops every subscription to this path. */
	unsubscribe(path: string, params?: Params): void;
	connect(): void;
	disconnect(): void;
	/** Said again after a failure under the same Idempotency-Key. Rejects with status and problem. */
	publish(path: string, value: unknown, params?: Params, options?: {tries?: number}): Promise<{receivers: number} | {id: string}>;
	/** The first message of a route with handler = wait; rejects with status 504 after timeout ms. */
	once(name: string, id: string | number, options?: {timeout?: number; after?: string; signal?: Signal}): Promise<any>;
}

export function expand(template: string, params?: Params): string;
export function backoff(bounds: [number, number], failures: number, random?: () => number): number;
export function isOlder(a: any, b: any): boolean;
