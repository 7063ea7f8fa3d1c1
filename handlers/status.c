/*
 * status.c - the state of the program: as a JSON object; as a page, if a browser asks for one; and
 * as an event stream of such objects, which keeps the page up to date.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/handler.h>

enum { FIRST_MS = 1, EVERY_MS = 2000 };

static void
put_string(FILE *f, const char *text)
{
	putc('"', f);
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20)
			fprintf(f, "\\u%04x", (unsigned char)*text);
		else
			fprintf(f, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	}
	putc('"', f);
}

static void
put_troubles(FILE *f)
{
	const char *sep = "";
	char text[256];
	unsigned n;

	fprintf(f, "\"why\":[");
	for (n = 0; worker_trouble(n, text, sizeof(text)); n++, sep = ",") {
		fputs(sep, f);
		put_string(f, text);
	}
	fprintf(f, "],");
}

static void
put_refused(FILE *f, unsigned r)
{
	unsigned long long value;
	unsigned n, status;
	const char *sep = "";

	fprintf(f, ",\"refused\":{");
	for (n = 0; worker_route_refused(r, n, &status, &value); n++) {
		if (value == 0)
			continue;
		fprintf(f, "%s\"%u\":%llu", sep, status, value);
		sep = ",";
	}
	fprintf(f, "}");
}

/* The upper end of the bucket that holds this quantile of all writes; -1: it has no end. */
static double
quantile_ms(unsigned r, double part)
{
	unsigned long long all = 0, sum = 0, value;
	unsigned n, us;

	for (n = 0; worker_route_took(r, n, &us, &value); n++)
		all += value;
	for (n = 0; all > 0 && worker_route_took(r, n, &us, &value); n++) {
		sum += value;
		if (us > 0 && (double)sum >= part * (double)all)
			return us / 1000.0;
	}
	return -1;
}

static void
put_quantile(FILE *f, const char *name, unsigned r, double part)
{
	double ms = quantile_ms(r, part);

	if (ms < 0)
		fprintf(f, ",\"%s\":null", name);
	else
		fprintf(f, ",\"%s\":%g", name, ms);
}

static void
put_route(FILE *f, unsigned r, const struct worker_route *route)
{
	unsigned long long value, dropped = 0;
	const char *name;
	unsigned n;

	fprintf(f, "{\"name\":");
	put_string(f, route->name);
	fprintf(f, ",\"path\":");
	put_string(f, route->path);
	fprintf(f, ",\"handler\":");
	put_string(f, route->handler);
	for (n = 0; worker_count(n, &name, &value); n++) {
		value = worker_route_count(r, n);
		if (strncmp(name, "dropped_", strlen("dropped_")) == 0)
			dropped += value;
		if (value > 0 || strcmp(name, "subscribers") == 0 || strcmp(name, "messages") == 0)
			fprintf(f, ",\"%s\":%llu", name, value);
	}
	fprintf(f, ",\"dropped\":%llu,\"lag\":%llu", dropped, route->lag);
	put_quantile(f, "p50_ms", r, 0.5);
	put_quantile(f, "p99_ms", r, 0.99);
	put_refused(f, r);
	fprintf(f, "}");
}

/* For a cluster; a single Redis was written above. */
static void
put_nodes(FILE *f)
{
	struct worker_node node;
	unsigned n;

	for (n = 0; worker_node(n, &node); n++) {
		fprintf(f, "%s{\"address\":", n == 0 ? ",\"nodes\":[" : ",");
		put_string(f, node.address);
		fprintf(f, ",\"role\":\"%s\",\"slots\":%u,\"up\":%s}", node.role, node.n_slots,
			node.is_up ? "true" : "false");
	}
	if (n > 0)
		fprintf(f, "]");
}

/* The text, which is the caller's; NULL if memory is short. */
static char *
make_json(void)
{
	struct worker_route route;
	unsigned long long value;
	const char *name, *sep = "";
	char *text = NULL;
	size_t len;
	unsigned n;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f, "{\"status\":\"%s\",", worker_state());
	put_troubles(f);
	fprintf(f, "\"redis\":\"%s\"", worker_redis_is_up() ? "up" : "down");
	for (n = 0; worker_count(n, &name, &value); n++)
		fprintf(f, ",\"%s\":%llu", name, value);
	put_nodes(f);
	fprintf(f, ",\"routes\":[");
	for (n = 0; worker_route(n, &route); n++, sep = ",") {
		fputs(sep, f);
		put_route(f, n, &route);
	}
	fprintf(f, "]}");
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* In the colours of the demo. The page needs no other file. */
static const char page_head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    "<meta name=\"color-scheme\" content=\"light dark\"><title>Status – Sluice</title>"
    "<link rel=\"icon\" href=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
    "viewBox='0 0 16 16'><circle cx='8' cy='8' r='6' fill='%%230b6e75'/></svg>\">"
    "<style>"
    ":root{--page:#f4f6f4;--card:#fff;--text:#17262a;--soft:#51646a;--line:#dbe2e0;"
    "--good:#1c6b3c;--good-back:#e0f1e6;--warn:#7d5000;--warn-back:#fbeecd;--bad:#a32626;"
    "--bad-back:#fbe4e2}"
    "@media(prefers-color-scheme:dark){:root{--page:#0e1517;--card:#162023;--text:#e6eeee;"
    "--soft:#9cb0b3;--line:#29373a;--good:#83d6a3;--good-back:#16321f;--warn:#eac46c;"
    "--warn-back:#362b10;--bad:#ff9d95;--bad-back:#3d1b1a}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--text);"
    "font:1rem/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",sans-serif}"
    "main{max-width:74rem;margin:0 auto;padding:1.5rem 1.25rem}"
    "h1{font-size:1.6rem;letter-spacing:-.02em;margin:0 0 1rem;display:flex;gap:.8rem;"
    "align-items:center}h2{font-size:1.05rem;margin:0 0 .6rem}"
    ".state{font-size:.9rem;padding:.15rem .7rem;border-radius:1rem;background:var(--warn-back);"
    "color:var(--warn)}.ok{background:var(--good-back);color:var(--good)}"
    ".down{background:var(--bad-back);color:var(--bad)}"
    "#why{list-style:none;margin:0 0 1rem;padding:0}"
    "#why li{background:var(--warn-back);color:var(--warn);border-radius:.5rem;"
    "padding:.5rem .9rem;margin-bottom:.4rem}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:.8rem;"
    "padding:1rem 1.2rem;margin-bottom:1rem;overflow-x:auto}"
    "table{border-collapse:collapse;width:100%%;font-variant-numeric:tabular-nums}"
    "th{color:var(--soft);font-weight:500;font-size:.84rem;text-align:left}"
    "td,th{padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);white-space:nowrap}"
    "td.n,th.n{text-align:right}tr:last-child>*{border-bottom:0}small{color:var(--soft)}"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:.4rem 1.4rem;"
    "margin:0}dl div{display:flex;justify-content:space-between;gap:1rem}"
    "dt{color:var(--soft);font-size:.84rem}dd{margin:0;font-variant-numeric:tabular-nums}"
    "</style></head><body><main>"
    "<h1>Sluice <span id=\"state\" class=\"state\" role=\"status\"></span>"
    "<small id=\"live\"></small></h1><ul id=\"why\" aria-label=\"What is wrong\"></ul>"
    "<section class=\"card\" aria-labelledby=\"r\"><h2 id=\"r\">Routes</h2><table><thead><tr>"
    "<th scope=\"col\">route<th scope=\"col\">path<th scope=\"col\">handler"
    "<th scope=\"col\" class=\"n\">subscribers<th scope=\"col\" class=\"n\">messages"
    "<th scope=\"col\" class=\"n\">events<th scope=\"col\" class=\"n\">deliveries"
    "<th scope=\"col\" class=\"n\">dropped<th scope=\"col\" class=\"n\">refused"
    "<th scope=\"col\" class=\"n\">p99 ms<th scope=\"col\" class=\"n\">lag"
    "</thead><tbody id=\"routes\"></tbody></table></section>"
    "<section class=\"card\" id=\"cluster\" aria-labelledby=\"c\" hidden>"
    "<h2 id=\"c\">Nodes of the cluster</h2><table><thead><tr><th scope=\"col\">node"
    "<th scope=\"col\">role<th scope=\"col\" class=\"n\">slots<th scope=\"col\">link"
    "</thead><tbody id=\"nodes\"></tbody></table></section>"
    "<section class=\"card\" aria-labelledby=\"a\"><h2 id=\"a\">All together</h2>"
    "<dl id=\"all\"></dl></section>"
    "<noscript><p>This page keeps itself up to date with JavaScript; the same is at this address "
    "as JSON.</p></noscript></main><script>\nlet first = ";

static const char page_tail[] =
    ";\n"
    "const $ = id => document.getElementById(id);\n"
    "const cell = (row, value, isNumber) => { const td = row.insertCell();"
    " td.textContent = value ?? '–'; if (isNumber) td.className = 'n'; };\n"
    "const sum = o => Object.values(o).reduce((a, b) => a + b, 0);\n"
    "const begin = (body, name) => { const row = body.insertRow(),"
    " th = document.createElement('th'); th.scope = 'row'; th.textContent = name;"
    " row.append(th); return row; };\n"
    "const anew = id => { const body = document.createElement('tbody'); body.id = id;"
    " $(id).replaceWith(body); return body; };\n"
    "function show(s) {\n"
    "  $('state').textContent = s.status;\n"
    "  $('state').className = 'state ' + s.status;\n"
    "  $('why').replaceChildren(...s.why.map(w => { const li = document.createElement('li');"
    " li.textContent = w; return li; }));\n"
    "  const body = anew('routes');\n"
    "  for (const r of s.routes) {\n"
    "    const row = begin(body, r.name);\n"
    "    cell(row, r.path); cell(row, r.handler);\n"
    "    for (const n of [r.subscribers, r.messages, r.events ?? 0, r.deliveries ?? 0, r.dropped,"
    " sum(r.refused), r.p99_ms, r.lag]) cell(row, n?.toLocaleString('en'), true);\n"
    "  }\n"
    "  $('cluster').hidden = !s.nodes;\n"
    "  const nodes = anew('nodes');\n"
    "  for (const n of s.nodes ?? []) {\n"
    "    const row = begin(nodes, n.address);\n"
    "    cell(row, n.role); cell(row, n.slots.toLocaleString('en'), true);"
    " cell(row, n.up ? 'up' : 'down');\n"
    "  }\n"
    "  $('all').replaceChildren(...Object.entries(s).filter(e => typeof e[1] == 'number')"
    ".map(([k, v]) => { const div = document.createElement('div'),"
    " dt = document.createElement('dt'), dd = document.createElement('dd');"
    " dt.textContent = k.replaceAll('_', ' '); dd.textContent = v.toLocaleString('en');"
    " div.append(dt, dd); return div; }));\n"
    "}\n"
    "show(first);\n"
    "const stream = new EventSource('?mode=stream');\n"
    "stream.onmessage = e => { $('live').textContent = 'live'; show(JSON.parse(e.data)); };\n"
    "stream.onerror = () => { $('live').textContent = 'not connected'; };\n"
    "</script></body></html>\n";

/* "<" could end the script, so it is escaped. */
static void
put_page(struct reply *reply, const char *json)
{
	const char *lt;

	reply_type(reply, "text/html; charset=utf-8");
	reply_printf(reply, page_head);
	for (; (lt = strchr(json, '<')) != NULL; json = lt + 1)
		reply_printf(reply, "%.*s\\u003c", (int)(lt - json), json);
	reply_printf(reply, "%s%s", json, page_tail);
}

static int
status_answer(struct reply *reply, const struct request *req)
{
	const char *accept = request_header(req, "Accept");
	char *json = make_json();

	if (json == NULL)
		return HTTP_UNAVAILABLE;
	if (accept != NULL && strstr(accept, "text/html") != NULL) {
		put_page(reply, json);
	} else {
		reply_type(reply, "application/json");
		reply_printf(reply, "%s\n", json);
	}
	free(json);
	return HTTP_OK;
}

/* The stream. */

static int
status_open(struct feed *feed, const struct request *req)
{
	int status;

	(void)req;
	if ((status = feed_keep_last(feed, false)) != 0)
		return status;
	return feed_timer(feed, FIRST_MS);
}

static void
status_timer(struct feed *feed)
{
	char *json;

	feed_timer(feed, EVERY_MS);
	if (!feed_is_followed(feed) || (json = make_json()) == NULL)
		return;
	feed_send(feed, NULL, json, strlen(json));
	free(json);
}

const struct handler status = {
    .name = "status",
    .open = status_open,
    .timer = status_timer,
    .answer = status_answer,
    .tells_state = true,
};
