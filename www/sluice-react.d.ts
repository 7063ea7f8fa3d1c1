import type {Message, Params, Refusal, Sluice, SyncOptions} from "./sluice.js";

export type State = "connecting" | "open" | "lost" | "end" | "error";

export interface Seen {
	state: State;
	error: Refusal | null;
	/** How often something may have been missed. */
	reset: number;
}

export function useSluice(sluice: Sluice, path: string, options?: {
	params?: Params;
	events?: string[];
	/** The id behind which it begins. */
	from?: string;
	onMessage?: (message: Message) => void;
}): Seen & {message: Message | null};

export function useSluiceList<Row = any, Key = any>(sluice: Sluice, path: string, options: Omit<SyncOptions<Row, Key>, "apply">): Seen & {rows: Row[]};
