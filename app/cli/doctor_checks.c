/*
 * doctor_checks.c - what is found out through the web server.
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <sluice/json.h>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/doctor.h"

enum {
	TRIES = 3,
	TICKS = 8,
	TICK_MS = 250,
	ANSWER_MS = 10000, /* so long an answer may take at the most, buffered as it may be */
	LATE_MS = 120,     /* beyond it an event was kept back */
	LEAVING_MS = 6000, /* so long it is waited until it is noticed that a client has gone */
	LEAVING_AT_ONCE_MS = 3000,
	OPENING_MS = 10000, /* and until all streams are open */
	USUAL_STREAMS = 1000,
	FEW_H2_STREAMS = 32,
	GROUPS_MAX = 64,
	TEXT_LEN = 256,
	PROC_LEN = 4096,
};

#define STREAM_PLAN "events=8&every=250"

static double
unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Is Sluice there? Asked where it listens, without the web server. */

static const char *
socket_path(const struct doctor *d)
{
	const char *listen = d->cfg->server.listen;

	return listen != NULL && strncmp(listen, "unix:", 5) == 0 ? listen + 5 : NULL;
}

/* 0 or a negative errno. */
static int
try_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, rc = 0;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* The greeting is enough. */
static int
stop_at_greeting(struct client *client)
{
	return memmem(client->text.p, client->text.len, "event: greeting\n", 16) != NULL
		   ? -ECANCELED
		   : 0;
}

static void
ask_program(struct doctor *d)
{
	char path[TEXT_LEN], key[DOCTOR_KEY_LEN], why[TEXT_LEN];
	struct client client;
	int rc;

	if (!doctor_key_put(d, key, why, sizeof(why)))
		return;
	snprintf(path, sizeof(path), DOCTORING_PATH "%s?events=0", key);
	client_init(&client, "doctor");
	client.on_body = stop_at_greeting;
	rc = client_ask(&client, d->cfg, NULL, path);
	d->is_local = rc == -ECANCELED && socket_path(d) != NULL;
	if (rc == -ECANCELED) {
		doctor_ok("program", "Sluice answers on %s", d->cfg->server.listen);
	} else if (rc == 0) {
		doctor_fail(d, "program",
			    "Sluice answers on %s, but reads another Redis than %s says, or is of "
			    "another version",
			    d->cfg->server.listen, "this configuration");
		doctor_line("systemctl restart sluice");
	} else {
		doctor_fail(d, "program", "Sluice does not answer on %s", d->cfg->server.listen);
		doctor_line("systemctl status sluice");
	}
	client_fini(&client);
	doctor_key_drop(d, key);
}

void
doctor_check_program(struct doctor *d)
{
	const char *listen = d->cfg->server.listen, *path = socket_path(d);
	int rc = path != NULL ? try_socket(path) : 0;

	if (listen == NULL || strcmp(listen, "inherit") == 0) {
		doctor_ok("program", "the configuration does not say where Sluice listens");
	} else if (rc == -EACCES) {
		doctor_ok("program", "only the web server may open %s: not looked at", path);
	} else if (rc < 0) {
		doctor_fail(d, "program", "no Sluice runs: %s: %s", path, strerror(-rc));
		doctor_line("systemctl start sluice");
	} else {
		ask_program(d);
	}
}

/* May the web server's user go where the socket is, and write to it? */

struct rights {
	uid_t uid;
	gid_t gids[GROUPS_MAX];
	int n;
};

static bool
may(const struct rights *r, const char *path, mode_t bit)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return true; /* we may not look there ourselves */
	if (r->uid == 0 || st.st_uid == r->uid)
		return r->uid == 0 || (st.st_mode & (bit << 6)) != 0;
	for (int i = 0; i < r->n; i++) {
		if (st.st_gid == r->gids[i])
			return (st.st_mode & (bit << 3)) != 0;
	}
	return (st.st_mode & bit) != 0;
}

static bool
may_open(const struct web_server *ws, const char *path, char *at, size_t len)
{
	const char *user = ws != NULL ? ws->user : "www-data";
	const struct passwd *pw = getpwnam(user);
	struct rights r = {.n = GROUPS_MAX};

	if (pw == NULL)
		return true;
	r.uid = pw->pw_uid;
	r.gids[0] = pw->pw_gid;
	if (ws != NULL && ws->drops_groups)
		r.n = 1;
	else if (getgrouplist(user, pw->pw_gid, r.gids, &r.n) < 0)
		r.n = GROUPS_MAX;
	for (const char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		snprintf(at, len, "%.*s", (int)(slash - path), path);
		if (!may(&r, at, S_IXOTH))
			return false;
	}
	snprintf(at, len, "%s", path);
	return may(&r, path, S_IWOTH);
}

/* The web server passes the path on, and finds nobody. */
static void
explain_unreached(struct doctor *d, const char *how)
{
	const char *path = socket_path(d), *user = d->server != NULL ? d->server->user : "www-data";
	char at[TEXT_LEN];

	if (path != NULL && try_socket(path) != 0 && geteuid() == 0) {
		doctor_fail(d, "reached", "%s: no Sluice runs", how);
		doctor_line("systemctl start sluice");
	} else if (path != NULL && !may_open(d->server, path, at, sizeof(at))) {
		doctor_fail(d, "reached", "%s: %s may not open %s", how, user, at);
		doctor_cure(d, CURE_SOCKET);
	} else {
		doctor_fail(d, "reached", "%s: it does not find Sluice's socket, which is %s", how,
			    d->cfg->server.listen != NULL ? d->cfg->server.listen : "inherited");
		doctor_cure(d, CURE_SOCKET);
	}
}

/* What came instead of the events. */

static bool
has_type(const struct http_exchange *x, const char *type)
{
	char value[TEXT_LEN];

	return http_header(x, "Content-Type", value, sizeof(value)) &&
	       strncmp(value, type, strlen(type)) == 0;
}

/* What speaks FastCGI says so itself; what speaks HTTP may be another. No Server header is
 * HAProxy's way. */
static void
recognise(struct doctor *d, const struct doctor_stream *s)
{
	const char *software = json_text(s->greeting, "server");
	const struct web_server *front;
	char says[TEXT_LEN] = "";

	if (s->x.status == 0)
		return;
	front = http_header(&s->x, "Server", says, sizeof(says)) ? web_server_find(says)
								 : web_server_find("HAProxy");
	d->server = software != NULL ? web_server_find(software) : front;
	d->front = d->server != front ? front : NULL;
}

static const struct {
	enum http_failure failure;
	const char *says, *line;
} failures[] = {
    {HTTP_FAILURE_NAME, "there is no such host", "give a URL that this machine can resolve"},
    {HTTP_FAILURE_REFUSED, "no web server listens there", "systemctl start "},
    {HTTP_FAILURE_UNREACHED, "no web server answers", "a firewall, or another address"},
    {HTTP_FAILURE_CERTIFICATE, "its certificate is refused",
     "sluice doctor --insecure, or the name that it bears"},
    {HTTP_FAILURE_TLS, "it does not speak TLS", "http:// in place of https://?"},
    {HTTP_FAILURE_HTTP, "it does not speak HTTP/1.1", "https:// in place of http://?"},
};

static void
tell_failure(struct doctor *d, const struct http_exchange *x)
{
	const struct web_server *ws;

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].failure != x->failure)
			continue;
		doctor_fail(d, "reached", "%s: %s port %s: %s", failures[i].says, d->http.url.host,
			    d->http.url.port, x->why);
		if (x->failure != HTTP_FAILURE_REFUSED)
			doctor_line("%s", failures[i].line);
		for (size_t n = 0;
		     x->failure == HTTP_FAILURE_REFUSED && (ws = web_server_nth(n)) != NULL; n++) {
			if (web_server_is_installed(ws))
				doctor_line("%s%s", failures[i].line, ws->process);
		}
	}
}

static const char *
name_of(const struct doctor *d)
{
	return d->server != NULL ? d->server->name : "the web server";
}

/* May it be given to a shell? The web server has said it. */
static bool
is_plain(const char *url)
{
	return url[strspn(url, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			       "-._~:/%[]")] == '\0';
}

static void
tell_unreached(struct doctor *d, const struct doctor_stream *s)
{
	const struct http_exchange *x = &s->x;
	char text[TEXT_LEN], where[TEXT_LEN];

	if (x->failure != HTTP_FAILURE_NONE) {
		tell_failure(d, x);
	} else if (x->status == 0) {
		doctor_fail(d, "reached",
			    "%s takes the request and does not answer: it may have no thread or "
			    "connection left, or keep all back",
			    name_of(d));
		doctor_cure(d, CURE_LIMIT);
		doctor_cure(d, CURE_BUFFER);
	} else if (s->is_sent_away || x->status >= 500) {
		snprintf(text, sizeof(text), "%s answers %d%s", name_of(d), x->status,
			 s->is_sent_away ? " by itself, in Sluice's place" : "");
		explain_unreached(d, text);
	} else if (has_type(x, "application/problem+json")) {
		doctor_fail(d, "reached",
			    "%s reaches a Sluice that does not know the key: it "
			    "runs by another configuration, or reads another Redis",
			    name_of(d));
		doctor_line("sluice doctor -c FILE, the one that it runs by");
		doctor_cure(d, CURE_SOCKET);
	} else if (x->status >= 300 && x->status < 400 &&
		   http_header(x, "Location", where, sizeof(where))) {
		doctor_fail(d, "reached", "%s says to go elsewhere (%d)", name_of(d), x->status);
		where[strcspn(where, "?")] = '\0';
		if (strstr(where, DOCTORING_PATH) != NULL)
			*strstr(where, DOCTORING_PATH) = '\0';
		if (is_plain(where))
			doctor_line("sluice doctor %s", where);
	} else if (x->status == 401) {
		doctor_fail(d, "reached", "%s asks who it is (401) before Sluice is asked",
			    name_of(d));
		doctor_line("sluice doctor --cookie NAME=VALUE, or no authentication for %s/",
			    d->cfg->server.base);
	} else {
		doctor_fail(d, "reached", "%s answers %d itself and passes nothing of %s/ on",
			    name_of(d), x->status, d->cfg->server.base);
		doctor_cure(d, CURE_ROUTE);
	}
}

/* Does the path lead to Sluice? */

static bool
try_prefix(struct doctor *d, const char *prefix)
{
	struct doctor_stream *s = &d->first;

	doctor_stream_end(d, s);
	snprintf(d->prefix, sizeof(d->prefix), "%s", prefix);
	if (doctor_stream_begin(d, s, prefix, STREAM_PLAN, "") == 0)
		doctor_stream_run(s, 1, ANSWER_MS);
	recognise(d, s);
	return s->greeting != NULL;
}

void
doctor_check_reached(struct doctor *d)
{
	const char *path = d->http.url.path, *base = d->cfg->server.base, *software;
	char longer[2048];

	snprintf(longer, sizeof(longer), "%s%s", path, base);
	d->is_reached = try_prefix(d, path);
	/* The URL may be the site's. */
	if (!d->is_reached && d->first.x.failure == HTTP_FAILURE_NONE && *base != '\0' &&
	    strcmp(path, base) != 0 && !d->first.is_sent_away && d->first.x.status < 500)
		d->is_reached = try_prefix(d, longer);
	if (!d->is_reached) {
		tell_unreached(d, &d->first);
		return;
	}
	software = doctor_greeted(d, "server");
	doctor_ok("reached", "%s passes %s/ on; the first event came after %.0f ms",
		  *software != '\0' ? software : name_of(d), d->prefix, d->first.came_ms[0]);
}

/* What the lines are for from here on. */
static void
take_base(struct doctor *d, const char *base, size_t len)
{
	char *right = strndup(base, len);

	if (right == NULL)
		return;
	free(d->cfg->server.base);
	d->cfg->server.base = right;
}

/* What the web server makes of the path. */
void
doctor_check_base(struct doctor *d)
{
	const char *base = d->cfg->server.base, *uri = doctor_greeted(d, "uri"), *at;
	size_t len = strlen(base);

	if (*uri == '\0')
		uri = doctor_greeted(d, "script");
	if (strncmp(uri, "http", 4) == 0 && strstr(uri, "://") != NULL)
		uri = strchrnul(strstr(uri, "://") + 3, '/');
	if ((at = strstr(uri, DOCTORING_PATH)) == NULL)
		return;
	if ((size_t)(at - uri) == len && strncmp(uri, base, len) == 0) {
		doctor_ok("base", "the path arrives as %s/..., which base = %s takes off", base,
			  base);
		return;
	}
	doctor_fail(d, "base",
		    "the path arrives as %.*s/..., but base is \"%s\": every route is 404",
		    (int)(at - uri), uri, base);
	doctor_line("[server] base = %.*s     # in sluice.ini, which the web server's path must be",
		    (int)(at - uri), uri);
	if (at == uri && len > 0)
		doctor_line("or hand on the whole path: %s must not be taken off before", base);
	else
		take_base(d, uri, (size_t)(at - uri));
}

/* What it makes of the head. */

static void
check_user(struct doctor *d)
{
	const char *user = doctor_greeted(d, "user");

	if (strcmp(user, "doctor") == 0) {
		doctor_fail(
		    d, "user",
		    "a name that nobody has checked (in an Authorization header) arrives as "
		    "REMOTE_USER");
		doctor_cure(d, CURE_USER);
	}
}

static bool
has_address_limit(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (cfg->routes[i]->max_per_ip > 0)
			return true;
	}
	return false;
}

void
doctor_check_request(struct doctor *d)
{
	/* "doctor:" and nothing behind it. */
	static const char fields[] = "Accept-Encoding: identity\r\nAuthorization: Basic "
				     "ZG9jdG9yOg==\r\nLast-Event-ID: 1-1\r\n";
	struct doctor_stream s;

	if (doctor_stream_begin(d, &s, d->prefix, "events=0", fields) == 0)
		doctor_stream_run(&s, 1, ANSWER_MS);
	if (s.greeting == NULL) {
		doctor_warn("request", "%s answers %d where there is an Authorization header",
			    name_of(d), s.x.status);
	} else if (!json_is_true(s.greeting, "authorization")) {
		doctor_fail(d, "request", "the Authorization header is withheld: no token arrives");
		doctor_cure(d, CURE_AUTHORIZATION);
	} else if (json_text(s.greeting, "last_id") == NULL) {
		doctor_fail(d, "request", "the Last-Event-ID header is withheld: nobody resumes");
	} else {
		doctor_ok("request", "Authorization and Last-Event-ID arrive");
	}
	if (s.greeting != NULL) {
		json_object_put(d->first.greeting);
		d->first.greeting = json_object_get(s.greeting);
		check_user(d);
	}
	doctor_stream_end(d, &s);
}

/* Proxies before it */

static const struct {
	const char *header, *who, *what;
} proxies[] = {
    {"CF-RAY", "Cloudflare", "a cache rule that bypasses the cache, and no compression, for"},
    {"X-Varnish", "Varnish", "return (pipe) in vcl_recv for"},
    {"X-Amz-Cf-Id", "CloudFront", "the cache policy CachingDisabled for"},
    {"X-Served-By", "a proxy that caches", "neither cache nor buffer for"},
    {"Via", "a proxy", "neither cache nor buffer for"},
};

/* Some web servers tell of the client in the same header: then nobody else stands between. */
static bool
is_forwarded(const struct doctor *d)
{
	const char *forwarded = doctor_greeted(d, "forwarded");

	return *forwarded != '\0' && strcmp(forwarded, doctor_greeted(d, "remote")) != 0;
}

static bool
tell_proxy(struct doctor *d)
{
	char value[TEXT_LEN];

	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++) {
		if (!http_header(&d->first.x, proxies[i].header, value, sizeof(value)))
			continue;
		doctor_warn("proxies", "%s stands before it (%s: %s)", proxies[i].who,
			    proxies[i].header, value);
		doctor_line("%s %s/*", proxies[i].what, d->prefix);
		return true;
	}
	return false;
}

void
doctor_check_proxies(struct doctor *d)
{
	const char *remote = doctor_greeted(d, "remote");

	if (is_forwarded(d) && d->cfg->server.trusted_proxies == NULL &&
	    has_address_limit(d->cfg)) {
		doctor_warn("proxies",
			    "all clients seem to come from %s: max_per_ip counts them as one",
			    remote);
		doctor_line("[server] trusted_proxies = %s", remote);
	} else if (d->front != NULL) {
		doctor_ok("proxies", "%s stands before %s", d->front->name, name_of(d));
	} else if (!tell_proxy(d)) {
		doctor_ok("proxies", is_forwarded(d) || *doctor_greeted(d, "via") != '\0'
					 ? "one stands before it"
					 : "none is to be seen before it");
	}
}

/* Buffering */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* How late half of them came. If the clocks are two, the quickest is taken for punctual. */
static double
median_late(const struct doctor *d, const struct doctor_stream *s)
{
	double v[DOCTOR_TICKS_MAX];

	if (s->n == 0)
		return 0;
	memcpy(v, s->late_ms, s->n * sizeof(*v));
	qsort(v, s->n, sizeof(*v), compare);
	return v[s->n / 2] - (d->is_local ? 0 : v[0]);
}

static void
tell_late(struct doctor *d, const struct doctor_stream *s, double late)
{
	double span = s->came_ms[s->n - 1] - s->came_ms[0];

	d->is_held_back = s->n > 1 && span < TICK_MS * (double)(s->n - 1) / 2;
	if (d->is_held_back)
		doctor_fail(d, "buffering",
			    "events are kept back: %u came together, the first "
			    "%.0f ms late",
			    s->n, s->late_ms[0]);
	else
		doctor_fail(d, "buffering", "each event is kept back for %.0f ms", late);
	if (d->front == NULL && (*doctor_greeted(d, "via") != '\0' || is_forwarded(d)))
		doctor_line("here, or in the proxy before it (try the web server's own address):");
	doctor_cure(d, CURE_BUFFER);
}

/* Once more: the machine may have had something else to do. Returns how late; negative: it failed.
 */
static double
try_again(struct doctor *d)
{
	struct doctor_stream again;
	double late = -1;

	if (doctor_stream_begin(d, &again, d->prefix, STREAM_PLAN, "") == 0)
		doctor_stream_run(&again, TICKS + 1, ANSWER_MS);
	if (again.n > 0)
		late = fabs(median_late(d, &again));
	doctor_stream_end(d, &again);
	return late;
}

void
doctor_check_buffer(struct doctor *d)
{
	double first, late;

	doctor_stream_run(&d->first, TICKS + 1, ANSWER_MS);
	first = late = fabs(median_late(d, &d->first));
	for (unsigned i = 1; i < TRIES && late > LATE_MS; i++) {
		double next = try_again(d);

		late = next >= 0 && next < late ? next : late;
	}
	if (late <= LATE_MS)
		doctor_ok("buffering", "none: events come %.0f ms after they were sent", late);
	else
		tell_late(d, &d->first, first);
}

void
doctor_check_gzip(struct doctor *d)
{
	struct doctor_stream s;
	char how[TEXT_LEN];

	if (doctor_stream_begin(d, &s, d->prefix, "events=1&every=100",
				"Accept-Encoding: gzip, deflate, br, zstd\r\n") == 0)
		doctor_stream_run(&s, 2, ANSWER_MS);
	if (http_header(&s.x, "Content-Encoding", how, sizeof(how)) &&
	    strcmp(how, "identity") != 0) {
		doctor_fail(d, "gzip",
			    "the stream is compressed (%s), which keeps events back and "
			    "takes memory for each client",
			    how);
		doctor_cure(d, CURE_GZIP);
	} else {
		doctor_ok("gzip", "the stream is not compressed");
	}
	doctor_stream_end(d, &s);
}

/* Leaving */

/* How many ms it took until it was noticed that this one had gone; negative: it was not. */
static double
leave(struct doctor *d, const char *plan, unsigned patience_ms)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	uint64_t until;
	unsigned long long at = 0;
	struct doctor_stream s;
	double gone;

	if (doctor_stream_begin(d, &s, d->prefix, plan, "") == 0)
		doctor_stream_run(&s, 1, ANSWER_MS);
	gone = unix_ms();
	until = clock_ms() + patience_ms;
	http_fini(&s.x);
	while (s.greeting != NULL && clock_ms() < until && (at = doctor_key_left(d, s.key)) == 0)
		nanosleep(&pause, NULL);
	doctor_stream_end(d, &s);
	if (at == 0)
		return -1;
	return (double)at > gone ? (double)at - gone : 0;
}

/* A route that never writes of itself; NULL. */
static const struct route *
route_without_heartbeat(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (route_can_follow(cfg->routes[i]) && cfg->routes[i]->stream.heartbeat_ms == 0)
			return cfg->routes[i];
	}
	return NULL;
}

/* Whoever has left is noticed at the next write. */
static void
tell_late_notice(struct doctor *d, double busy)
{
	const struct route *rt = route_without_heartbeat(d->cfg);

	if (rt == NULL) {
		doctor_ok("leaving",
			  "a client that leaves is noticed when it is next sent something (after "
			  "%.0f ms of a busy stream): leave the routes their heartbeats",
			  busy);
		return;
	}
	doctor_warn("leaving",
		    "that a client has left is noticed when it is next sent something, and "
		    "[route %s] has no heartbeat",
		    rt->name);
	doctor_line("[route %s] heartbeat = 15s     # in sluice.ini", rt->name);
}

void
doctor_check_leaving(struct doctor *d)
{
	double silent = leave(d, "events=1&every=20000", LEAVING_AT_ONCE_MS), busy;

	if (silent >= 0) {
		doctor_ok("leaving", "a client that leaves is noticed after %.0f ms", silent);
		return;
	}
	busy = leave(d, "events=60&every=200", LEAVING_MS);
	if (busy < 0) {
		doctor_fail(d, "leaving",
			    "that a client has left is not even noticed when it is "
			    "sent events: its stream goes on");
		doctor_cure(d, CURE_LEAVING);
	} else if (d->server != NULL && d->server->notices_silent) {
		doctor_warn("leaving",
			    "that a client has left is noticed only when it is next sent "
			    "something");
		doctor_cure(d, CURE_LEAVING);
	} else {
		tell_late_notice(d, busy);
	}
}

/* A silent stream: begun early, looked at last. */

void
doctor_begin_silence(struct doctor *d)
{
	char plan[TEXT_LEN];

	if (d->silence_ms == 0)
		return;
	snprintf(plan, sizeof(plan), "events=1&every=%u", d->silence_ms);
	if (doctor_stream_begin(d, &d->silent, d->prefix, plan, "") == 0)
		doctor_stream_run(&d->silent, 1, ANSWER_MS);
}

void
doctor_check_silence(struct doctor *d)
{
	struct doctor_stream *s = &d->silent;
	double begun = s->n > 0 ? s->came_ms[0] : 0, so_far;

	if (d->silence_ms == 0) {
		doctor_ok("silence", "not tried (--quick)");
		return;
	}
	so_far = (double)(clock_ms() - s->x.begun_ms);
	if (so_far < d->silence_ms && !s->x.is_ended && isatty(STDOUT_FILENO))
		doctor_line("a stream is silent for %.0f s more ...",
			    (d->silence_ms - so_far) / 1e3);
	doctor_stream_run(s, 2, d->silence_ms + ANSWER_MS);
	if (s->n >= 2) {
		doctor_ok("silence", "a stream may be silent for %.0f s", d->silence_ms / 1e3);
		return;
	}
	if (s->x.is_ended && s->x.ended_ms > 0)
		doctor_fail(d, "silence", "a silent stream is cut after %.1f s",
			    ((double)(s->x.ended_ms - s->x.begun_ms) - begun) / 1e3);
	else
		doctor_fail(d, "silence", "behind a silence of %.0f s nothing came",
			    d->silence_ms / 1e3);
	doctor_cure(d, CURE_SILENCE);
}

/* Limits */

/* A file of /proc about a process into text. Returns false if there is none. */
static bool
read_proc(const char *pid, const char *file, char *text, size_t len)
{
	char path[TEXT_LEN];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%.32s/%s", pid, file);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	n = fread(text, 1, len - 1, f);
	text[n] = '\0';
	fclose(f);
	return true;
}

/* The descriptors that the process may open; 0: it is another's, or it cannot be told. */
static unsigned long
descriptors_of(const char *pid, const char *process)
{
	static const char line[] = "Max open files";
	char text[PROC_LEN];
	const char *at;

	if (!read_proc(pid, "comm", text, sizeof(text)))
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, process) != 0 || !read_proc(pid, "limits", text, sizeof(text)) ||
	    (at = strstr(text, line)) == NULL)
		return 0;
	return strtoul(at + strlen(line), NULL, 10);
}

/* Of all of the web server's processes here, the fewest that one may open; 0: there are none. */
static unsigned long
fewest_descriptors(const char *process)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	unsigned long least = 0, n;

	/* cppcheck-suppress readdirCalled; only the main thread asks */
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if ((n = descriptors_of(entry->d_name, process)) > 0 && (least == 0 || n < least))
			least = n;
	}
	if (dir != NULL)
		closedir(dir);
	return least;
}

static void
check_descriptors(struct doctor *d)
{
	uint64_t wanted =
	    d->cfg->server.max_subscribers > 0 ? d->cfg->server.max_subscribers : USUAL_STREAMS;
	unsigned long n = d->server != NULL ? fewest_descriptors(d->server->process) : 0;

	if (n == 0 || n / d->server->descriptors >= wanted)
		return;
	doctor_warn("limits", "%s may open %lu files, enough for some %lu streams", d->server->name,
		    n, n / d->server->descriptors);
	doctor_cure(d, CURE_LIMIT);
}

struct opening {
	struct doctor_stream *v;
	unsigned n;
};

static unsigned
count_open(const struct opening *o)
{
	unsigned n = 0;

	for (unsigned i = 0; i < o->n; i++)
		n += o->v[i].greeting != NULL;
	return n;
}

static bool
are_all_open(void *arg)
{
	const struct opening *o = arg;

	return count_open(o) == o->n;
}

/* As many as it takes, up to n. */
static unsigned
open_streams(struct doctor *d, struct opening *o, unsigned n)
{
	struct http_exchange **all = calloc(n + 1, sizeof(struct http_exchange *));
	unsigned n_open;

	while (all != NULL && o->n < n) {
		struct doctor_stream *s = &o->v[o->n];

		if (doctor_stream_begin(d, s, d->prefix, "events=30&every=1000", "") < 0)
			break;
		all[o->n++] = &s->x;
	}
	if (all != NULL)
		http_run(all, o->n, OPENING_MS, are_all_open, o);
	n_open = count_open(o);
	free(all);
	return n_open;
}

void
doctor_check_streams(struct doctor *d)
{
	struct opening o = {.v = calloc(d->n_streams + 1, sizeof(*o.v))};
	unsigned n;

	if (o.v == NULL)
		return;
	n = open_streams(d, &o, d->n_streams);
	if (n < d->n_streams) {
		doctor_fail(d, "streams", "of %u streams at once only %u are open", d->n_streams,
			    n);
		doctor_cure(d, CURE_LIMIT);
	} else {
		doctor_ok("streams", "%u at once are open", n);
		check_descriptors(d);
	}
	for (unsigned i = 0; i < d->n_streams; i++) {
		if (*o.v[i].key != '\0')
			doctor_stream_end(d, &o.v[i]);
	}
	free(o.v);
}

void
doctor_check_http2(struct doctor *d)
{
	long n;

	if (!d->http.url.is_tls) {
		doctor_ok("http2", "not with http://: a browser has six streams of a site at most");
		return;
	}
	n = http_h2_streams(&d->http);
	if (d->server != NULL && d->server->h2_at_once > 0 && n > d->server->h2_at_once)
		n = d->server->h2_at_once;
	if (n < 0) {
		doctor_warn("http2", "HTTP/1.1 alone: a browser has six streams of a site at most");
		doctor_cure(d, CURE_HTTP2);
	} else if (n > 0 && n < FEW_H2_STREAMS) {
		doctor_warn("http2", "of an HTTP/2 connection %s serves %ld streams at a time",
			    name_of(d), n);
		doctor_line("let all tabs of a browser share one: www/sluice.js");
	} else {
		doctor_ok("http2", "a connection has %ld streams at most", n);
	}
}

/* While no Sluice runs: one request ends as if it had died. */
void
doctor_check_come_back(struct doctor *d)
{
	struct doctor_stream s;

	if (doctor_stream_begin(d, &s, d->prefix, "drop=1", "") == 0)
		doctor_stream_run(&s, 1, ANSWER_MS);
	if (s.is_sent_away && s.x.status == 200) {
		doctor_ok("come back", "while no Sluice runs an EventSource is told to try again");
	} else {
		doctor_warn("come back",
			    "while no Sluice runs an EventSource is told %d and never "
			    "comes back",
			    s.x.status);
		doctor_cure(d, CURE_COME_BACK);
	}
	doctor_stream_end(d, &s);
}
