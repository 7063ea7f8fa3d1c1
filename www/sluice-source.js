// <sluice-source>: a subscription as an element of a page.
//
//	<script type="module" src="/sluice-source.js"></script>
//	<sluice-source base="/events" path="/jobs/42/progress" target="#bar" property="value" field="percent"></sluice-source>
//
// Each event is dispatched on it as "sluice:NAME" (sluice:message), with the message as its detail, and what becomes of the stream
// as "sluice:open", "sluice:lost", "sluice:reset", "sluice:end" and "sluice:error". With target, the event's data (or one field of
// it) is put into a property of that element: textContent, if none is named. The attribute state says "connecting", "open",
// "lost", "end" or "error". base, mux and shared are the library's; elements that say the same of them share a connection.
import {Sluice} from "./sluice.js";

const shared = new Map();

function sluiceOf({base = "", mux = "", ...options}) {
	const key = JSON.stringify([base, mux, options]);
	if (!shared.has(key)) shared.set(key, new Sluice(base, {mux, ...options}));
	return shared.get(key);
}

export class SluiceSource extends HTMLElement {
	static observedAttributes = ["base", "path", "mux", "events", "from"];

	connectedCallback() {
		this.begin();
	}

	disconnectedCallback() {
		this.subscription?.stop();
		this.subscription = null;
	}

	attributeChangedCallback(_, before, now) {
		if (this.subscription && before !== now) this.begin();
	}

	begin() {
		const said = name => this.getAttribute(name) ?? undefined, events = said("events")?.split(/[\s,]+/).filter(Boolean) ?? [];
		this.subscription?.stop();
		this.subscription = null;
		if (!said("path")) return;
		this.setAttribute("state", "connecting");
		const one = this.subscription = sluiceOf({base: said("base"), mux: said("mux"), ...this.hasAttribute("shared") && {shared: said("shared")}})
			.subscribe(said("path"), {}, {from: said("from"), events});
		one.listen(message => this.show(message));
		for (const kind of ["open", "lost", "reset", "end", "error"]) {
			one[kind] = value => {
				if (kind !== "reset") this.setAttribute("state", kind);
				this.tell(kind, value);
			};
		}
	}

	tell(name, detail) {
		this.dispatchEvent(new CustomEvent(`sluice:${name}`, {detail, bubbles: true}));
	}

	show(message) {
		const field = this.getAttribute("field"), target = this.getAttribute("target") && document.querySelector(this.getAttribute("target"));
		this.tell(message.type, message);
		if (!target || message.type !== (this.getAttribute("event") ?? "message")) return;
		target[this.getAttribute("property") ?? "textContent"] = field ? field.split(".").reduce((value, name) => value?.[name], message.json) : message.data;
	}
}

customElements.get("sluice-source") ?? customElements.define("sluice-source", SluiceSource);
