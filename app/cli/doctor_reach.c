/*
 * doctor_reach.c - does a request reach Sluice through the web server, and if not, where does it
 * end?
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <sluice/json.h>

#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/explain.h"

enum { GROUPS_MAX = 64, TEXT_LEN = 256 };

/* Is Sluice there? It is asked at its own address, without the web server. */

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

/* May the web server's user enter the socket's folders, and write to the socket? */

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

/* The web server passes the path on, but nobody answers. */
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

/* Is the answer, which came in place of events, of this type? */

static bool
has_type(const struct http_exchange *x, const char *type)
{
	char value[TEXT_LEN];

	return http_header(x, "Content-Type", value, sizeof(value)) &&
	       strncmp(value, type, strlen(type)) == 0;
}

/*
 * A server that speaks FastCGI says what it is. A server that speaks HTTP to the client may be
 * another. If there is no Server header, it is HAProxy.
 */
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

/* May it be shown as an argument of a shell command? The web server has chosen it. */
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
			    doctor_server_name(d));
		doctor_cure(d, CURE_LIMIT);
		doctor_cure(d, CURE_BUFFER);
	} else if (s->is_sent_away || x->status >= 500) {
		snprintf(text, sizeof(text), "%s answers %d%s", doctor_server_name(d), x->status,
			 s->is_sent_away ? " by itself, in Sluice's place" : "");
		explain_unreached(d, text);
	} else if (has_type(x, "application/problem+json")) {
		doctor_fail(d, "reached",
			    "%s reaches a Sluice that does not know the key: it "
			    "runs by another configuration, or reads another Redis",
			    doctor_server_name(d));
		doctor_line("sluice doctor -c FILE, the one that it runs by");
		doctor_cure(d, CURE_SOCKET);
	} else if (x->status >= 300 && x->status < 400 &&
		   http_header(x, "Location", where, sizeof(where))) {
		doctor_fail(d, "reached", "%s says to go elsewhere (%d)", doctor_server_name(d),
			    x->status);
		where[strcspn(where, "?")] = '\0';
		if (strstr(where, DOCTORING_PATH) != NULL)
			*strstr(where, DOCTORING_PATH) = '\0';
		if (is_plain(where))
			doctor_line("sluice doctor %s", where);
	} else if (x->status == 401) {
		doctor_fail(d, "reached", "%s asks who it is (401) before Sluice is asked",
			    doctor_server_name(d));
		doctor_line("sluice doctor --cookie NAME=VALUE, or no authentication for %s/",
			    d->cfg->server.base);
	} else {
		doctor_fail(d, "reached", "%s answers %d itself and passes nothing of %s/ on",
			    doctor_server_name(d), x->status, d->cfg->server.base);
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
	if (doctor_stream_begin(d, s, prefix, DOCTOR_PLAN, "") == 0)
		doctor_stream_run(s, 1, DOCTOR_ANSWER_MS);
	recognise(d, s);
	return s->greeting != NULL;
}

void
doctor_check_reached(struct doctor *d)
{
	const char *path = d->http.url.path, *base = d->cfg->server.base, *software;
	char longer[2048];

	snprintf(longer, sizeof(longer), "%s%s", path, base);
	/* The URL may be that of a route. */
	d->is_reached = explain_is_served(d->cfg, path) && try_prefix(d, base);
	if (!d->is_reached)
		d->is_reached = try_prefix(d, path);
	/* The URL may be that of the site, without Sluice's base. */
	if (!d->is_reached && d->first.x.failure == HTTP_FAILURE_NONE && *base != '\0' &&
	    strcmp(path, base) != 0 && !d->first.is_sent_away && d->first.x.status < 500)
		d->is_reached = try_prefix(d, longer);
	if (!d->is_reached) {
		tell_unreached(d, &d->first);
		return;
	}
	software = doctor_greeted(d, "server");
	doctor_ok("reached", "%s passes %s/ on; the first event came after %.0f ms",
		  *software != '\0' ? software : doctor_server_name(d), d->prefix,
		  d->first.came_ms[0]);
}
