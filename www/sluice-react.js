// React: a subscription and a list as hooks. They begin and end with the component, also in StrictMode.
//
//	const sluice = new Sluice("/events", {mux: "/mux"});                        // one for the site, outside of components
//	const {message, state} = useSluice(sluice, "/jobs/{id}/progress", {params: {id}});
//	const {rows, state} = useSluiceList(sluice, "/orders", {load: async () => (await fetch("/api/orders")).json()});
//
// state is "connecting", "open", "lost", "end" or "error"; reset counts how often something may have been missed.
import {useEffect, useRef, useState} from "react";

const FIRST = {state: "connecting", message: null, rows: [], error: null, reset: 0};

function useFollowed(key, begin) {
	const [seen, set] = useState(FIRST), begins = useRef(begin);
	begins.current = begin;
	useEffect(() => {
		const change = more => set(before => ({...before, ...typeof more === "function" ? more(before) : more}));
		set(FIRST);
		const one = begins.current(change);
		one.open = () => change({state: "open"});
		one.lost = () => change({state: "lost"});
		one.end = () => change({state: "end"});
		one.error = error => change({state: "error", error});
		one.reset = () => change(({reset}) => ({reset: reset + 1}));
		return () => one.stop();
	}, key);
	return seen;
}

/** {message: the newest, state, error, reset}. onMessage, if it is given, is told each. */
export function useSluice(sluice, path, {params, events = [], from, onMessage} = {}) {
	const told = useRef(onMessage);
	told.current = onMessage;
	return useFollowed([sluice, path, JSON.stringify([params, events, from])], change =>
		sluice.subscribe(path, params, {events, from}).listen(message => {
			change({message});
			told.current?.(message);
		}));
}

/** {rows, state, error, reset}: a table of the site's own, then live. The options are those of sluice.sync, without apply. */
export function useSluiceList(sluice, path, options) {
	const newest = useRef(options);
	newest.current = options;
	return useFollowed([sluice, path, JSON.stringify(options.params)], change =>
		sluice.sync(path, {...newest.current, load: (...all) => newest.current.load(...all), apply: rows => change({rows})}));
}
