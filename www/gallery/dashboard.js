import {$, element, follow} from "./gallery.js";

const POINTS = 120, ROWS = 10, STATUS_MS = 1000;

const bytes = value => {
	const i = Math.min(4, Math.floor(Math.log10(Math.max(value, 1)) / 3));
	return `${(value / 1000 ** i).toFixed(i && value / 1000 ** i < 10 ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB"][i]}`;
};
const unit = name => value => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)}${name}`;

/** A picture of the last points, and the same as a table. */
class Chart {
	constructor(title, say, names, most = null) {
		const figure = element("figure"), caption = element("figcaption", title), table = element("table");
		Object.assign(this, {title, say, names, data: [[], ...names.map(() => [])], now: element("output"), rows: element("tbody")});
		this.host = element("div", undefined, "picture");
		this.host.setAttribute("role", "img");
		this.host.setAttribute("aria-label", title);
		this.table = element("details");
		const head = element("tr");
		for (const name of ["time", ...names]) {
			const cell = element("th", name);
			cell.scope = "col";
			head.append(cell);
		}
		table.append(element("caption", title), element("thead"), this.rows);
		table.tHead.append(head);
		this.table.append(element("summary", "as a table"), table);
		if (names.length > 1) names.forEach((name, i) => caption.append(" ", element("span", name, `key ${i ? "out" : ""}`)));
		caption.append(this.now);
		figure.append(caption, this.host, this.table);
		$("charts").append(figure);
		this.range = (_, low, high) => [0, most ?? Math.max(high, 1) * 1.1];
		this.draw();
		new ResizeObserver(() => this.plot.setSize(this.size())).observe(this.host);
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
	}

	size() {
		return {width: Math.max(this.host.clientWidth, 100), height: 150};
	}

	/** Anew, in the colours of now. */
	draw() {
		const style = getComputedStyle(document.documentElement), color = name => style.getPropertyValue(name).trim();
		const axis = {stroke: color("--soft"), grid: {stroke: color("--line"), width: 1}, ticks: {show: false}};
		this.plot?.destroy();
		this.plot = new uPlot({
			...this.size(), legend: {show: false}, cursor: {show: false}, scales: {y: {range: this.range}},
			axes: [{...axis, size: 26, values: (_, times) => times.map(t => new Date(t * 1000).toLocaleTimeString([], {hour12: false}))},
				{...axis, size: 64, values: (_, values) => values.map(this.say)}],
			series: [{}, ...this.names.map((label, i) => ({
				label, stroke: color(i ? "--second" : "--accent"), width: 2, points: {show: false},
			}))],
		}, this.data, this.host);
	}

	add(ms, ...values) {
		[ms / 1000, ...values].forEach((value, i) => {
			this.data[i].push(value);
			if (this.data[i].length > POINTS) this.data[i].shift();
		});
		if (paused) return;
		this.plot.setData(this.data);
		this.now.textContent = values.map(this.say).join(" · ");
		if (this.table.open) this.tell();
	}

	tell() {
		const last = this.data[0].map((t, i) => [t, ...this.data.slice(1).map(column => column[i])]).slice(-ROWS).reverse();
		this.rows.replaceChildren(...last.map(([t, ...values]) => {
			const row = element("tr");
			row.append(...[new Date(t * 1000).toLocaleTimeString([], {hour12: false}), ...values.map(this.say)].map(one => element("td", one)));
			return row;
		}));
	}
}

let paused = false;

const charts = {
	cpu: new Chart("Processor", unit(" %"), ["busy"], 100),
	memory: new Chart("Memory", bytes, ["used"]),
	network: new Chart("Network, each second", bytes, ["received", "sent"]),
	delay: new Chart("From PUBLISH to this page", unit(" ms"), ["delay"]),
	events: new Chart("Sluice: events each second", unit(""), ["rendered", "deliveries"]),
	streams: new Chart("Sluice: streams", unit(""), ["subscribers", "connections"]),
};

let isOpen = false;
setTimeout(() => isOpen = true, 1000);

follow("/metrics", {}, ({json}) => {
	charts.cpu.add(json.t, json.cpu);
	charts.memory.add(json.t, json.memory);
	charts.network.add(json.t, json.received, json.sent);
	// What is sent first is from the last minute, and its delay says nothing.
	if (isOpen) charts.delay.add(json.t, Math.max(0, Date.now() - json.t));
});

// What Sluice itself counts, from the route with handler = status.
let before = null;

async function look() {
	const answer = await fetch("/events/status", {headers: {Accept: "application/json"}}).catch(() => null);
	if (!answer?.ok) return;
	const now = {...await answer.json(), at: Date.now()};
	if (before && now.events >= before.events) {
		const seconds = (now.at - before.at) / 1000;
		charts.events.add(now.at, ...["rendered", "deliveries"].map(name => (now[name] - before[name]) / seconds));
	}
	charts.streams.add(now.at, now.subscribers, now.connections);
	before = now;
}

setInterval(look, STATUS_MS);
look();

$("pause").addEventListener("click", () => {
	paused = !paused;
	$("pause").setAttribute("aria-pressed", String(paused));
});

for (const {table} of Object.values(charts)) table.addEventListener("toggle", () => Object.values(charts).forEach(one => one.tell()));

// Not with each point: a screen reader would not come to rest.
setInterval(() => {
	for (const {host, title, now} of Object.values(charts)) host.setAttribute("aria-label", `${title}, now ${now.textContent}`);
}, 10000);
