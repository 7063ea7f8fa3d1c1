// An extension of htmx 2: swaps what a route says, over the library's connection, which comes back after a 5xx, and which all
// elements of all tabs share with sluice-mux.
//
//	<body hx-ext="sluice" sluice-base="/events" sluice-mux="/mux">
//		<ul sluice-connect="/news" sluice-swap="message" hx-swap="beforeend"></ul>
//
// sluice-connect is the path; sluice-swap the names of the events that are swapped (message by default); the rest is htmx's own
// (hx-target, hx-swap). The events htmx:sluiceOpen, sluiceLost, sluiceReset, sluiceEnd and sluiceError tell what becomes of it.
import {Sluice} from "./sluice.js";

const shared = new Map(), following = new WeakMap();
let api;

function sluiceOf(base, mux) {
	const key = JSON.stringify([base, mux]);
	if (!shared.has(key)) shared.set(key, new Sluice(base, {mux}));
	return shared.get(key);
}

function connect(htmx, element) {
	const path = element.getAttribute("sluice-connect");
	if (!path || following.has(element)) return;
	const names = (element.getAttribute("sluice-swap") ?? "message").split(/[\s,]+/);
	const of = name => api.getClosestAttributeValue(element, name) ?? "";
	const one = sluiceOf(of("sluice-base"), of("sluice-mux")).subscribe(path, {}, {events: names});
	following.set(element, one);
	for (const name of names) {
		one.listen(name, ({data}) => {
			if (!document.contains(element)) return leave(element);
			htmx.swap(api.getTarget(element) ?? element, data, api.getSwapSpecification(element));
		});
	}
	for (const kind of ["Open", "Lost", "Reset", "End", "Error"]) one[kind.toLowerCase()] = value => htmx.trigger(element, `htmx:sluice${kind}`, {value});
}

function leave(element) {
	following.get(element)?.stop();
	following.delete(element);
}

/** extend(htmx): for htmx as a module; the global one is extended at once. */
export function extend(htmx) {
	htmx.defineExtension("sluice", {
		init(internal) {
			api = internal;
		},
		getSelectors: () => ["[sluice-connect]"],
		onEvent(name, {target}) {
			if (name === "htmx:afterProcessNode") connect(htmx, target);
			if (name === "htmx:beforeCleanupElement") leave(target);
		},
	});
}

if (globalThis.htmx) extend(globalThis.htmx);
