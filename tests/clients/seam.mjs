// Pages that are rendered at any time while a table changes, and then follow it: each a list of sluice.js of its own.
//
//	node seam.mjs EVENTS SITE PAGES SECONDS
//
// SITE/page gives {cursor, rows} as the server renders a page, SITE/rows the rows alone. Once a line has come on stdin,
// waits until each list has the row "last", and prints what differs: {"pages":N,"texts":[distinct lists]}.
import {EventSource} from "eventsource-4";
import {Sluice} from "./sluice.mjs";

const [events, site, pages, seconds] = process.argv.slice(2);
const read = async (path, init) => {
	const response = await fetch(site + path, init);
	if (!response.ok) throw new Error(`${path}: ${response.status}`);
	return response.json();
};
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const lists = [];

async function open() {
	await sleep(Math.random() * seconds * 1000);
	const {cursor, rows} = await read("/page");
	let isFresh = true;
	lists.push(new Sluice(events, {EventSource, shared: false, backoff: [100, 1000]}).sync("/rows", {
		from: cursor,
		load: ({signal}) => isFresh ? (isFresh = false, rows) : read("/rows", {signal}),
		apply() {},
	}));
}

const text = list => JSON.stringify(list.rows.sort((a, b) => a.id < b.id ? -1 : 1));

await Promise.all([...Array(Number(pages)).keys()].map(open));
process.stdout.write("opened\n");
await new Promise(resolve => process.stdin.once("data", resolve));
for (const list of lists) {
	while (!list.rows.some(row => row.id === "last")) await sleep(20);
}
process.stdout.write(`${JSON.stringify({pages: lists.length, texts: [...new Set(lists.map(text))]})}\n`);
process.exit();
