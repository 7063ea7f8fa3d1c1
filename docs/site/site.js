// The search, the buttons that copy, and the list of pages. No network: index.js holds all that can be found.
const top_ = document.body.dataset.top;
const words = document.querySelector("#words");
const found = document.querySelector("#found");
const MOST = 12, AROUND = 70;

const fold = text => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
const sections = window.sluiceIndex.map(([address, title, heading, text]) => ({
	address, title, heading, text, in: {title: fold(title), heading: fold(heading), text: fold(text)},
}));

// How well a section fits all the words: 0 if one of them is not there.
function weigh(section, asked) {
	let sum = 0;
	for (const word of asked) {
		const inside = section.in;
		const weight = (inside.title.includes(word) ? (section.heading ? 4 : 9) : 0) + (inside.heading.includes(word) ? 8 : 0) +
			Math.min(inside.text.split(word).length - 1, 5);
		if (!weight)
			return 0;
		sum += weight;
	}
	return sum;
}

function around(section, asked) {
	const at = Math.max(0, ...asked.map(word => section.in.text.indexOf(word)).filter(n => n >= 0).slice(0, 1));
	const piece = document.createElement("span");
	const text = (at > AROUND ? "… " : "") + section.text.slice(Math.max(0, at - AROUND), at + 2 * AROUND);
	const folded = fold(text);
	let from = 0;
	const marks = asked.flatMap(word => { const n = folded.indexOf(word); return n < 0 ? [] : [[n, n + word.length]]; }).sort((a, b) => a[0] - b[0]);
	for (const [begin, end] of marks) {
		if (begin < from)
			continue;
		const mark = document.createElement("mark");
		mark.textContent = text.slice(begin, end);
		piece.append(text.slice(from, begin), mark);
		from = end;
	}
	piece.append(text.slice(from), " …");
	return piece;
}

function row(section, asked) {
	const link = document.createElement("a");
	link.href = `${top_}/${section.address}`;
	const title = document.createElement("b");
	title.textContent = section.heading ? `${section.title}: ${section.heading}` : section.title;
	link.append(title, around(section, asked));
	return link;
}

function search() {
	const asked = fold(words.value).split(/\s+/).filter(word => word.length > 1);
	found.hidden = asked.length === 0;
	found.replaceChildren();
	if (found.hidden)
		return;
	const best = sections.map(section => [weigh(section, asked), section]).filter(([weight]) => weight > 0)
		.sort((a, b) => b[0] - a[0]).slice(0, MOST);
	for (const [, section] of best)
		found.append(row(section, asked));
	if (best.length === 0) {
		const nothing = document.createElement("p");
		nothing.textContent = "No page has all of these words.";
		found.append(nothing);
	}
}

words.addEventListener("input", search);
words.addEventListener("focus", search);
document.querySelector("#search").addEventListener("submit", event => {
	event.preventDefault();
	found.querySelector("a")?.click();
});
found.addEventListener("click", () => { found.hidden = true; });
addEventListener("keydown", event => {
	if (event.key === "Escape")
		found.hidden = true;
	if (event.key === "/" && !/^(input|textarea)$/i.test(document.activeElement.tagName)) {
		event.preventDefault();
		words.focus();
	}
	if (!found.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
		const rows = [...found.querySelectorAll("a")], at = rows.indexOf(document.activeElement);
		(event.key === "ArrowDown" ? rows[at + 1] : at > 0 ? rows[at - 1] : words)?.focus();
		event.preventDefault();
	}
});
addEventListener("click", event => {
	if (!event.target.closest(".bar"))
		found.hidden = true;
});

// Sections and values of a configuration, as on the gallery's pages.
for (const code of document.querySelectorAll(".language-ini")) {
	const lines = code.textContent.split("\n");
	code.replaceChildren(...lines.flatMap((line, n) => {
		const [, before, value] = line.match(/^(\[.*|[^=]*= )?(.*)$/);
		const piece = document.createElement(line.startsWith("[") ? "b" : "i");
		piece.textContent = line.startsWith("[") ? line : value;
		const end = n < lines.length - 1 ? "\n" : "";
		return line.startsWith("[") ? [piece, end] : before ? [before, piece, end] : [line + end];
	}));
}

for (const pre of document.querySelectorAll("main pre")) {
	const box = document.createElement("div"), button = document.createElement("button");
	box.className = "code";
	button.textContent = "Copy";
	button.addEventListener("click", async () => {
		await navigator.clipboard.writeText(pre.textContent);
		button.textContent = "Copied";
		setTimeout(() => { button.textContent = "Copy"; }, 1500);
	});
	pre.replaceWith(box);
	box.append(pre, button);
}

// Beside the text the list of pages is always open; above it, on a narrow screen, it is asked for.
const pages = document.querySelector(".pages details"), isWide = matchMedia("(min-width: 60.01rem)");
const settle = () => { pages.open = isWide.matches; };
isWide.addEventListener("change", settle);
settle();
document.querySelector(".pages [aria-current]")?.scrollIntoView({block: "nearest"});
