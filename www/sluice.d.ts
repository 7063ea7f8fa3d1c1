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

export interface Options {
	/** Origins that are tried in turn; "" is the page's own. */
	servers?: string[];
	/** For the parameter named tokenParameter, and for Authorization when publishing. A function is asked for each attempt. */
	token?: string | (() => string | Promise<string>) | null;
	tokenParameter?: string;
	withCredentials?: boolean;
	/** Milliseconds without even a heartbeat ("keep-alive"), after which a connection is taken for dead; 0: never. */
	stale?: number;
	/** Milliseconds: the first wait is up to the first, later ones up to the second. */
	backoff?: [number, number];
	/** The path of a route with handler = mux: one connection for all subscriptions, of all tabs of the browser where it can (Web Locks, BroadcastChannel). */
	mux?: string;
	/** false: each tab has its own. A text: only tabs that say the same share one; name the user, if tabs may have different ones. */
	shared?: boolean | string;
	/** The path of a route with handler = wait, with {name} and {id}. */
	waitPath?: string;
	EventSource?: any;
	fetch?: typeof fetch;
	storage?: Pick<Storage, "getItem" | "setItem"> | null;
}

export interface SubscribeOptions {
	/** The id behind which it begins. */
	from?: string;
	/** Keep the position in localStorage, and begin there. */
	load?: boolean;
	/** Names of events besides "message"; listen() adds its own. */
	events?: string[];
}

export interface Subscription {
	/** Once Redis has confirmed (on a route with announce = no, at the first event); rejects if the server refuses, or it is over. */
	ready: Promise<Opened>;
	readonly lastId: string;
	listen(fn: (message: Message) => void): this;
	listen(name: string, fn: (message: Message) => void): this;
	stop(): void;
	/** Each time that it is open. */
	open?: (said: Opened) => void;
	/** The connection is gone, and comes back by itself. Told in the tab that has the connection. */
	lost?: () => void;
	/** What came may not be all: fetch anew. */
	reset?: (reason: "redis" | "trimmed" | "unknown-id" | "slow") => void;
	/** For good. */
	end?: (reason: string) => void;
	/** Refused, with its status. */
	error?: (error: Error & {status: number; problem?: any}) => void;
}

export class Sluice {
	constructor(base?: string, options?: Options);
	subscribe(path: string, params?: Record<string, string | number>, options?: SubscribeOptions): Subscription;
	subscribe(path: string, from: string): Subscription;
	unsubscribe(path: string, params?: Record<string, string | number>): void;
	connect(): void;
	disconnect(): void;
	/** Said again after a failure under the same Idempotency-Key. Rejects with status and problem. */
	publish(path: string, value: unknown, params?: Record<string, string | number>, options?: {tries?: number}):
		Promise<{receivers: number} | {id: string}>;
	/** The first message of a route with handler = wait; rejects with status 504 after timeout ms. */
	once(name: string, id: string | number, options?: {timeout?: number; after?: string; signal?: AbortSignal}): Promise<any>;
}

export function expand(template: string, params?: Record<string, string | number>): string;
export function backoff(bounds: [number, number], failures: number, random?: () => number): number;
