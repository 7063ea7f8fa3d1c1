#include "route/doctoring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/closing.h"
#include "source/kinds.h"

enum {
	SOON_MS = 1,
	QUEUE_LEN = 256 * 1024,
	RETRY_MS = 1000,
	LIFETIME_MS = 600000,
	OPEN_WAIT_MS = 2000,
	ASK_AGAIN_MS = 50,
	LEFT_S = 120, /* for how long it can be read when a client has gone */
	NAME_MAX_LEN = 2048,
	KEY_LEN = sizeof(DOCTORING_KEY DOCTORING_SUFFIX) + DOCTORING_DIGITS,
};

struct doctoring {
	struct route route; /* that nobody configured */
	struct hub *hub;
	uv_timer_t soon;
	struct list dropped; /* requests whose connection is closed without an answer */
	struct closing closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* A request that must look as if the program had died. */
struct dropped {
	struct list of_doctoring;
	struct subscriber_holder holder;
};

/* What was asked for. */
struct plan {
	char key[DOCTORING_DIGITS + 1];
	unsigned events, every_ms; /* how many follow the first event, and the time between them */
	bool is_drop;
};

struct doctor_run {
	struct plan plan;
	unsigned n;
	struct json_object *greeting; /* the first event; NULL: it has been sent */
};

/* What is asked for */

/* The digits behind ".doctor/", at the path's end; NULL: the path is another. */
static const char *
find_key(const char *uri)
{
	size_t len = strcspn(uri, "?#"), key_at = sizeof(DOCTORING_PATH) - 1 + DOCTORING_DIGITS;

	if (len < key_at ||
	    memcmp(uri + len - key_at, DOCTORING_PATH, sizeof(DOCTORING_PATH) - 1) != 0)
		return NULL;
	uri += len - DOCTORING_DIGITS;
	return strspn(uri, "0123456789abcdef") == DOCTORING_DIGITS ? uri : NULL;
}

/* The number, if it is at most max; 0 if it is not there. */
static unsigned
number(const char *query, const char *name, unsigned max)
{
	size_t len = strlen(name);
	unsigned long n = 0;

	for (const char *p = query; p != NULL; p = strchr(p, '&')) {
		p += *p == '&';
		if (strncmp(p, name, len) == 0 && p[len] == '=')
			n = strtoul(p + len + 1, NULL, 10);
	}
	return n > max ? max : (unsigned)n;
}

static bool
read_plan(struct plan *plan, const struct params *vars)
{
	const char *uri = params_get(vars, "REQUEST_URI"), *method, *query, *key;

	if (uri == NULL && (uri = params_get(vars, "PATH_INFO")) == NULL)
		uri = params_get(vars, "SCRIPT_NAME");
	if (uri == NULL || (key = find_key(uri)) == NULL)
		return false;
	method = params_get(vars, "REQUEST_METHOD");
	if (method == NULL || strcmp(method, "GET") != 0 ||
	    params_get(vars, REQUEST_CARRIED) != NULL)
		return false;
	query = params_get(vars, "QUERY_STRING");
	snprintf(plan->key, sizeof(plan->key), "%.*s", DOCTORING_DIGITS, key);
	plan->events = number(query, "events", DOCTORING_EVENTS_MAX);
	plan->every_ms = number(query, "every", DOCTORING_EVERY_MAX_MS);
	plan->is_drop = number(query, "drop", 1) != 0;
	return true;
}

/* The stream: a feed of one client. The handler's timer sends its events. */

static void
add_text(struct json_object *o, const char *name, const struct params *vars, const char *var)
{
	const char *value = params_get(vars, var);

	if (value != NULL)
		json_object_object_add(o, name, json_object_new_string(value));
}

/*
 * What the request looks like behind the web server. Of an Authorization it says only whether it is
 * there.
 */
static struct json_object *
make_greeting(const struct params *vars)
{
	static const char *const told[][2] = {
	    {"server", "SERVER_SOFTWARE"}, {"protocol", "SERVER_PROTOCOL"},
	    {"uri", "REQUEST_URI"},        {"script", "SCRIPT_NAME"},
	    {"remote", "REMOTE_ADDR"},     {"https", "HTTPS"},
	    {"scheme", "REQUEST_SCHEME"},  {"via", "HTTP_VIA"},
	    {"user", "REMOTE_USER"},       {"forwarded", "HTTP_X_FORWARDED_FOR"},
	    {"auth_type", "AUTH_TYPE"},    {"last_id", "HTTP_LAST_EVENT_ID"},
	};
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; o != NULL && i < sizeof(told) / sizeof(told[0]); i++)
		add_text(o, told[i][0], vars, told[i][1]);
	if (o != NULL && params_get(vars, "HTTP_AUTHORIZATION") != NULL)
		json_object_object_add(o, "authorization", json_object_new_boolean(true));
	return o;
}

static int
doctor_open(struct feed *feed, const struct request *req)
{
	struct doctor_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return HTTP_INTERNAL_ERROR;
	feed_set_data(feed, run);
	if (!read_plan(&run->plan, req->vars) || (run->greeting = make_greeting(req->vars)) == NULL)
		return HTTP_INTERNAL_ERROR;
	return feed_timer(feed, SOON_MS);
}

static void
doctor_timer(struct feed *feed)
{
	struct doctor_run *run = feed_data(feed);
	struct json_object *o = run->greeting != NULL ? run->greeting : json_object_new_object();
	const char *type = run->greeting != NULL ? "greeting" : "tick";

	run->greeting = NULL;
	if (o != NULL) {
		json_object_object_add(o, "n", json_object_new_int64(run->n));
		json_object_object_add(o, "at", json_object_new_int64((int64_t)clock_unix_ms()));
		(void)feed_send_json(feed, type, o);
	}
	if (run->n++ == run->plan.events)
		feed_end(feed);
	else
		feed_timer(feed, run->plan.every_ms > 0 ? run->plan.every_ms : SOON_MS);
}

static void
on_told(struct feed *feed, struct message *reply)
{
	(void)feed;
	(void)reply;
}

/* The client has gone, or has been sent everything. */
static void
doctor_close(struct feed *feed)
{
	struct doctor_run *run = feed_data(feed);
	char key[KEY_LEN], at[24], ttl[8];

	if (run == NULL)
		return;
	snprintf(key, sizeof(key), DOCTORING_KEY "%s" DOCTORING_SUFFIX, run->plan.key);
	snprintf(at, sizeof(at), "%llu", (unsigned long long)clock_unix_ms());
	snprintf(ttl, sizeof(ttl), "%d", LEFT_S);
	(void)feed_ask(feed, on_told, "SET", key, at, "EX", ttl, NULL);
	json_object_put(run->greeting);
	free(run);
}

static const struct handler handler = {
    .name = "doctor",
    .open = doctor_open,
    .timer = doctor_timer,
    .close = doctor_close,
    .is_private = true,
};

/* Requests */

static void
join(struct doctoring *doctoring, struct serving *sv)
{
	static const struct template_value none[] = {{0}};
	struct feed *fd;
	int rc;

	sv->req->is_opening = true;
	if ((rc = serving_make_head(sv)) < 0 ||
	    (rc = feed_get(&fd, &doctoring->route.feeds, sv->req->wire, none, sv->req)) != 0 ||
	    (rc = feed_join(fd, sv->sub, sv->out->head.p, sv->out->head.len, NULL)) != 0)
		serving_refuse_open(sv, rc);
}

static void
on_dropped_left(struct subscriber_holder *holder)
{
	struct dropped *d = LIST_ENTRY(holder, struct dropped, holder);

	list_del(&d->of_doctoring);
	free(d);
}

static void
on_soon(uv_timer_t *timer)
{
	struct doctoring *doctoring = timer->data;

	while (!list_is_empty(&doctoring->dropped)) {
		struct dropped *d =
		    LIST_ENTRY(doctoring->dropped.next, struct dropped, of_doctoring);
		struct subscriber *sub = subscriber_let_go(&d->holder);

		list_del(&d->of_doctoring);
		free(d);
		if (sub != NULL)
			sub->ops->abort(sub);
	}
}

/* The connection is closed later, because the caller still looks at the request. */
static void
drop(struct doctoring *doctoring, struct serving *sv)
{
	struct dropped *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		serving_refuse_open(sv, -ENOMEM);
		return;
	}
	d->holder.left = on_dropped_left;
	list_add_tail(&doctoring->dropped, &d->of_doctoring);
	subscriber_hold(sv->sub, &d->holder);
	uv_timer_start(&doctoring->soon, on_soon, SOON_MS, 0);
}

/*
 * Asks Redis for the key. While Redis cannot be asked, as right after the start, the request waits.
 * Returns false if it has waited long enough.
 */
static bool
ask_for_key(struct serving *sv, const struct params *vars, char *const *words)
{
	struct pending_request rq = serving_request(sv, sv->kept.patience);
	uint64_t now = clock_ms();

	if (!sv->was_kept)
		rq.patience.decide_ms = now + OPEN_WAIT_MS;
	if (now >= rq.patience.decide_ms)
		return false;
	rq.params = vars; /* there is no route's request */
	return pending_ask_right(sv->in->pending, &rq, sv->in->hub, words) == 0 ||
	       pending_retry(sv->in->pending, &rq, ASK_AGAIN_MS) == 0;
}

bool
doctoring_serve(struct doctoring *doctoring, struct serving *sv, const struct params *vars)
{
	const struct known_right *right = &sv->kept.right;
	unsigned char digest[RIGHT_DIGEST];
	char key[NAME_MAX_LEN], get[] = "GET", *words[] = {get, key, NULL};
	struct plan plan;
	const char *why;

	if (!read_plan(&plan, vars) ||
	    (size_t)snprintf(key, sizeof(key), "%s" DOCTORING_KEY "%s", hub_prefix(sv->in->hub),
			     plan.key) >= sizeof(key))
		return false;
	if (!right->is_known)
		return ask_for_key(sv, vars, words);
	right_digest(digest, words);
	if (right->allowed != ALLOWED || memcmp(right->digest, digest, RIGHT_DIGEST) != 0 ||
	    request_read(sv->req, vars, "", &why) != 0)
		return false;
	sv->req->route = &doctoring->route;
	if (plan.is_drop)
		drop(doctoring, sv);
	else
		join(doctoring, sv);
	return true;
}

/* Life */

int
doctoring_new(struct doctoring **out, struct hub *hub, uv_loop_t *loop)
{
	static char name[] = ".doctor", comment[] = "";
	struct doctoring *doctoring = calloc(1, sizeof(*doctoring));
	char why[128];

	if (doctoring == NULL ||
	    path_compile(&doctoring->route.path, DOCTORING_PATH "{key}", why, sizeof(why)) < 0) {
		free(doctoring);
		return -ENOMEM;
	}
	doctoring->hub = hub;
	doctoring->route.name = name;
	doctoring->route.handler = &handler;
	doctoring->route.stream = (struct feed_settings){.heartbeat_event = comment,
							 .lifetime_ms = LIFETIME_MS,
							 .open_wait_ms = OPEN_WAIT_MS,
							 .retry_ms = RETRY_MS,
							 .queue = QUEUE_LEN};
	feed_class_init(&doctoring->route.feeds, hub, &handler, &doctoring->route.stream,
			feed_kind_of(&handler, &doctoring->route.stream));
	list_init(&doctoring->dropped);
	uv_timer_init(loop, &doctoring->soon);
	doctoring->soon.data = doctoring;
	*out = doctoring;
	return 0;
}

static void
on_timer_closed(struct closing *closing)
{
	struct doctoring *doctoring = LIST_ENTRY(closing, struct doctoring, closing);
	void (*on_closed)(void *arg) = doctoring->on_closed;
	void *arg = doctoring->closed_arg;

	path_free(doctoring->route.path);
	free(doctoring);
	on_closed(arg);
}

static void
on_feeds_closed(struct feed_class *fc)
{
	struct route *rt = LIST_ENTRY(fc, struct route, feeds);
	struct doctoring *doctoring = LIST_ENTRY(rt, struct doctoring, route);

	closing_begin(&doctoring->closing, on_timer_closed);
	closing_add(&doctoring->closing, (uv_handle_t *)&doctoring->soon);
}

void
doctoring_close(struct doctoring *doctoring, void (*on_closed)(void *arg), void *arg)
{
	doctoring->on_closed = on_closed;
	doctoring->closed_arg = arg;
	on_soon(&doctoring->soon);
	feed_class_close(&doctoring->route.feeds, END_DRAIN, on_feeds_closed);
}
