#include "route/site.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "hub/wait.h"
#include "logic/json_text.h"
#include "redis/command.h"
#include "redis/recorded.h"
#include "route/cors.h"
#include "route/problem.h"
#include "route/publish.h"
#include "route/request.h"
#include "sse/event.h"

enum { KEY_PARAMS_MAX = 64, HEAD_MAX = 16 * 1024, BODY_MAX = 1024 * 1024 };

struct site {
	struct hub *hub;
	char *base;
	struct route **routes;
	size_t n_routes;
	size_t n_closing;       /* removed, but their feeds are not gone yet */
	struct request request; /* the one that is being served */
	struct buf head, body;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

struct reply {
	const char *type;
	struct buf *body;
	bool is_broken;
};

void
reply_type(struct reply *reply, const char *type)
{
	reply->type = type;
}

void
reply_printf(struct reply *reply, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		reply->is_broken = true;
		return;
	}
	if (buf_put(reply->body, text, (size_t)len) < 0)
		reply->is_broken = true;
	free(text);
}

static void
send_answer(struct site *site, struct subscriber *sub, bool with_body)
{
	if (subscriber_answer(sub, site->head.p, site->head.len, site->body.p,
			      with_body ? site->body.len : 0) < 0)
		logger_error("out of memory: a request gets no answer");
}

/* The answer to a request that cannot be served. detail names the rule, and nothing of ours. */
static void
refuse(struct site *site, struct subscriber *sub, int status, const char *detail)
{
	counters_add(COUNTER_REQUESTS_REFUSED, 1);
	buf_truncate(&site->head, 0);
	buf_truncate(&site->body, 0);
	if (problem_put_body(&site->body, status, detail) < 0 ||
	    problem_put_head(&site->head, status) < 0 ||
	    (status == 405 &&
	     buf_printf(&site->head, "Allow: %s\r\n", route_methods(site->request.route)) < 0) ||
	    cors_put_headers(&site->head, &site->request) < 0 ||
	    buf_printf(&site->head, "Content-Length: %zu\r\n\r\n", site->body.len) < 0)
		logger_error("out of memory: a refusal is cut short");
	send_answer(site, sub, site->request.method != METHOD_HEAD);
}

static void
answer_empty(struct site *site, struct subscriber *sub)
{
	if (buf_puts(&site->head, "\r\n") < 0)
		logger_error("out of memory: an answer is cut short");
	send_answer(site, sub, false);
}

static void
begin_head(struct site *site, const char *lines)
{
	buf_truncate(&site->head, 0);
	if (buf_puts(&site->head, lines) < 0 || cors_put_headers(&site->head, &site->request) < 0)
		logger_error("out of memory: an answer is cut short");
}

static void
answer_options(struct site *site, struct subscriber *sub)
{
	begin_head(site, "Status: 204 No Content\r\n");
	if (cors_put_preflight(&site->head, &site->request) < 0)
		logger_error("out of memory: an answer is cut short");
	answer_empty(site, sub);
}

/* A client whose stream was ended for good: at 204 an EventSource gives up (HTML 9.2.2). */
static void
answer_ended(struct site *site, struct subscriber *sub)
{
	begin_head(site, "Status: 204 No Content\r\nCache-Control: no-store\r\n");
	answer_empty(site, sub);
}

static const char stream_head[] = "Status: 200 OK\r\n"
				  "Content-Type: text/event-stream\r\n"
				  "Cache-Control: no-store, no-transform\r\n"
				  "X-Accel-Buffering: no\r\n"
				  "Incremental: ?1\r\n"
				  "X-Content-Type-Options: nosniff\r\n";

/* A value that breaks its rule could name another's channel. Returns 0, or the status having
 * refused. */
static int
check_param(struct site *site, struct subscriber *sub, const char *name, const char *value)
{
	const struct param_rule *rule;
	char detail[1024];

	if (value == NULL) {
		snprintf(detail, sizeof(detail), "The parameter %s is missing.", name);
	} else {
		if (route_param_ok(site->request.route, name, value))
			return 0;
		rule = route_rule(site->request.route, name);
		snprintf(detail, sizeof(detail), "The parameter %s must match %s.", name,
			 rule != NULL ? rule->text : "[A-Za-z0-9_.-]{1,128}");
	}
	refuse(site, sub, HTTP_BAD_REQUEST, detail);
	return HTTP_BAD_REQUEST;
}

/* The parameters of the path, and those on which the feed depends. As check_param(). */
static int
read_key(struct site *site, struct subscriber *sub, struct template_value *key)
{
	const struct request *req = &site->request;
	const char *name;
	size_t n;
	int status;

	for (n = 0; (name = path_param(req->route->path, n)) != NULL; n++) {
		if ((status = check_param(site, sub, name, req->values[n])) != 0)
			return status;
	}
	for (n = 0; (name = route_key_param(req->route, n)) != NULL && n < KEY_PARAMS_MAX; n++) {
		key[n] = (struct template_value){name, request_raw_param(req, name)};
		if ((status = check_param(site, sub, name, key[n].value)) != 0)
			return status;
	}
	key[n].name = NULL;
	return 0;
}

static void
refuse_open(struct site *site, struct subscriber *sub, int rc)
{
	if (rc < 0)
		refuse(site, sub, HTTP_UNAVAILABLE, "This server has no room for another stream.");
	else if (rc == HTTP_FORBIDDEN)
		refuse(site, sub, rc, "This route's messages may not be read.");
	else
		refuse(site, sub, rc, "The route's handler refuses this request.");
}

static void
open_stream(struct site *site, struct subscriber *sub)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	struct request *req = &site->request;
	struct feed *fd;
	int rc;

	if (read_key(site, sub, key) != 0)
		return;
	if (req->last_event_id != NULL &&
	    event_is_end_id(req->last_event_id, strlen(req->last_event_id))) {
		answer_ended(site, sub);
		return;
	}
	begin_head(site, stream_head);
	if (req->method == METHOD_HEAD) {
		answer_empty(site, sub);
		return;
	}
	if ((rc = buf_puts(&site->head, "\r\n")) < 0 ||
	    (rc = feed_get(&fd, &req->route->feeds, key, req)) != 0 ||
	    (rc = feed_join(fd, sub, site->head.p, site->head.len, req->last_event_id)) != 0)
		refuse_open(site, sub, rc);
}

static void
answer_short(struct site *site, struct subscriber *sub)
{
	struct request *req = &site->request;
	struct reply reply = {.type = "text/plain; charset=utf-8", .body = &site->body};
	int status;

	buf_truncate(&site->body, 0);
	status = req->route->handler->answer(&reply, req);
	if (reply.is_broken) {
		refuse(site, sub, HTTP_INTERNAL_ERROR, "The answer could not be made.");
		return;
	}
	buf_truncate(&site->head, 0);
	if (buf_printf(&site->head,
		       "Status: %d %s\r\n"
		       "Content-Type: %s\r\n"
		       "Cache-Control: no-store\r\n"
		       "X-Content-Type-Options: nosniff\r\n",
		       status, problem_title(status), reply.type) < 0 ||
	    cors_put_headers(&site->head, req) < 0 ||
	    buf_printf(&site->head, "Content-Length: %zu\r\n\r\n", site->body.len) < 0)
		logger_error("out of memory: an answer is cut short");
	send_answer(site, sub, req->method != METHOD_HEAD);
}

/* Publishing */

/* A message that Redis has been told, and the client that waits to hear of it. */
struct posting {
	struct site *site;
	struct subscriber *sub; /* NULL: the client has gone */
	struct buf cors;        /* the answer's header fields, for the route may be gone by then */
	bool is_stream;
	size_t len;
	char route[65];
	char name[];
};

static void
posting_free(struct posting *p)
{
	buf_fini(&p->cors);
	free(p);
}

static void
answer_posting(struct posting *p, int status, const char *why)
{
	struct site *site = p->site;

	buf_truncate(&site->head, 0);
	if (status == 202)
		(void)buf_printf(&site->head, "Status: 202 Accepted\r\n"
					      "Content-Type: application/json\r\n"
					      "Cache-Control: no-store\r\n"
					      "X-Content-Type-Options: nosniff\r\n");
	else if (problem_put_body(&site->body, status, why) == 0)
		(void)problem_put_head(&site->head, status);
	if (buf_put(&site->head, p->cors.p, p->cors.len) < 0 ||
	    buf_printf(&site->head, "Content-Length: %zu\r\n\r\n", site->body.len) < 0)
		logger_error("out of memory: an answer is cut short");
	p->sub->holder = NULL;
	send_answer(site, p->sub, true);
	p->sub->ops->send(p->sub);
}

static void
on_posted(void *arg, const struct redisReply *reply)
{
	struct posting *p = arg;
	const char *why;
	int status;

	buf_truncate(&p->site->body, 0);
	status = publish_answer(&p->site->body, reply, &why);
	if (status == 202)
		counters_add(COUNTER_PUBLISHED, 1);
	logger_info("[route %s] POST to %s %s, %zu bytes: %s", p->route,
		    p->is_stream ? "stream" : "channel", p->name, p->len,
		    status == 202 ? "published" : why);
	if (p->sub != NULL)
		answer_posting(p, status, why);
	posting_free(p);
}

/* To the channel and to its log, as one. */
static int
tell_redis_both(struct site *site, struct posting *p, const struct publication *pub)
{
	const char *argv[7] = {"EVAL", RECORDED_SCRIPT, "2"};
	char *channel, *log = NULL, keep[16];
	size_t lens[7];
	int i, rc = -ENOMEM;

	if (asprintf(&channel, "%s%s", hub_prefix(site->hub), pub->name.p) < 0)
		return -ENOMEM;
	if (asprintf(&log, "%s" RECORDED_SUFFIX, channel) >= 0) {
		snprintf(keep, sizeof(keep), "%u", pub->record);
		argv[3] = channel;
		argv[4] = log;
		argv[5] = pub->data.p != NULL ? pub->data.p : "";
		argv[6] = keep;
		for (i = 0; i < 7; i++)
			lens[i] = i == 5 ? pub->data.len : strlen(argv[i]);
		rc = command_send(hub_command(site->hub), on_posted, p, 7, argv, lens);
		free(log);
	}
	free(channel);
	return rc;
}

static int
tell_redis(struct site *site, struct posting *p, const struct publication *pub)
{
	const char *argv[8], *prefix = hub_prefix(site->hub);
	size_t lens[8];
	char *name, maxlen[24];
	int argc = 0, i, rc;

	if (hub_command(site->hub) == NULL)
		return -ENOTCONN;
	if (pub->record > 0)
		return tell_redis_both(site, p, pub);
	if (asprintf(&name, "%s%s", prefix, pub->name.p) < 0)
		return -ENOMEM;
	argv[argc++] = pub->is_stream ? "XADD" : "PUBLISH";
	argv[argc++] = name;
	if (pub->is_stream && pub->maxlen > 0) {
		snprintf(maxlen, sizeof(maxlen), "%llu", (unsigned long long)pub->maxlen);
		argv[argc++] = "MAXLEN";
		argv[argc++] = "~";
		argv[argc++] = maxlen;
	}
	if (pub->is_stream) {
		argv[argc++] = "*";
		argv[argc++] = "data";
	}
	for (i = 0; i < argc; i++)
		lens[i] = strlen(argv[i]);
	argv[argc] = pub->data.p != NULL ? pub->data.p : "";
	lens[argc++] = pub->data.len;
	rc = command_send(hub_command(site->hub), on_posted, p, argc, argv, lens);
	free(name);
	return rc;
}

/* How many messages of the channel are kept, by any route. */
static unsigned
records(const struct site *site, const char *channel)
{
	unsigned n, most = 0;
	size_t i;

	for (i = 0; i < site->n_routes; i++) {
		if ((n = route_records(site->routes[i], channel)) > most)
			most = n;
	}
	return most;
}

static struct posting *
posting_new(struct site *site, struct subscriber *sub, const struct publication *pub)
{
	struct posting *p = calloc(1, sizeof(*p) + pub->name.len);

	if (p == NULL)
		return NULL;
	p->site = site;
	p->sub = sub;
	p->is_stream = pub->is_stream;
	p->len = pub->data.len;
	memcpy(p->name, pub->name.p, pub->name.len);
	snprintf(p->route, sizeof(p->route), "%s", site->request.route->name);
	buf_init(&p->cors, HEAD_MAX);
	if (cors_put_headers(&p->cors, &site->request) < 0) {
		posting_free(p);
		return NULL;
	}
	return p;
}

/* The parameters of the path, and those that the template names. As check_param(). */
static int
check_publish_params(struct site *site, struct subscriber *sub)
{
	const struct request *req = &site->request;
	const struct publish *settings = &req->route->publish;
	const struct template *t = settings->stream != NULL ? settings->stream : settings->channel;
	const char *name;
	size_t n;
	int status;

	for (n = 0; (name = path_param(req->route->path, n)) != NULL; n++) {
		if ((status = check_param(site, sub, name, req->values[n])) != 0)
			return status;
	}
	for (n = 0; (name = template_param(t, n)) != NULL; n++) {
		if ((status = check_param(site, sub, name, request_raw_param(req, name))) != 0)
			return status;
	}
	return 0;
}

static void
publish(struct site *site, struct subscriber *sub, const char *body, size_t len)
{
	struct publication pub;
	struct posting *p;
	const char *why;
	int status;

	if (check_publish_params(site, sub) != 0)
		return;
	status = publish_read(&pub, &site->request, body, len, hub_now_ms(site->hub), &why);
	if (status == 0 && !pub.is_stream)
		pub.record = records(site, pub.name.p);
	if (status != 0) {
		refuse(site, sub, status, why);
	} else if ((p = posting_new(site, sub, &pub)) == NULL) {
		refuse(site, sub, HTTP_UNAVAILABLE, "This server has no room for the message.");
	} else if (tell_redis(site, p, &pub) < 0) {
		posting_free(p);
		refuse(site, sub, HTTP_UNAVAILABLE, "Redis is away: nothing was published.");
	} else {
		sub->holder = &p->sub;
	}
	publication_fini(&pub);
}

/* Waiting */

/* A client that waits for one event. */
struct waiting {
	struct waiter waiter;
	struct site *site;
	struct subscriber *sub; /* NULL: the client has gone, or has its answer */
	struct buf cors;
};

static void
on_wait_closed(struct waiter *w)
{
	struct waiting *wg = LIST_ENTRY(w, struct waiting, waiter);

	buf_fini(&wg->cors);
	free(wg);
}

/* What is not JSON is given as a JSON string. */
static int
put_waited(struct site *site, const struct event *ev)
{
	const char *data = ev->data != NULL ? ev->data : "";

	if (json_text_check(data, ev->data_len, NULL))
		return buf_put(&site->body, data, ev->data_len);
	return json_put_string(&site->body, data, ev->data_len);
}

static int
put_wait_head(struct site *site, const struct event *ev)
{
	int rc = buf_printf(&site->head, "Status: 200 OK\r\n"
					 "Content-Type: application/json\r\n"
					 "Cache-Control: no-store\r\n"
					 "X-Content-Type-Options: nosniff\r\n");

	if (rc == 0 && ev->id != NULL) /* for the next "?after=" */
		rc = buf_printf(&site->head, "Last-Event-ID: %.*s\r\n", (int)ev->id_len, ev->id);
	return rc;
}

static void
on_waited(struct waiter *w, const struct event *ev)
{
	struct waiting *wg = LIST_ENTRY(w, struct waiting, waiter);
	struct site *site = wg->site;
	struct subscriber *sub = wg->sub;

	if (sub == NULL)
		return;
	buf_truncate(&site->head, 0);
	buf_truncate(&site->body, 0);
	if (ev == NULL || put_waited(site, ev) < 0 || put_wait_head(site, ev) < 0) {
		buf_truncate(&site->head, 0);
		buf_truncate(&site->body, 0);
		(void)problem_put_body(&site->body, 504, "No message came in time.");
		(void)problem_put_head(&site->head, 504);
	}
	if (buf_put(&site->head, wg->cors.p, wg->cors.len) < 0 ||
	    buf_printf(&site->head, "Content-Length: %zu\r\n\r\n", site->body.len) < 0)
		logger_error("out of memory: an answer is cut short");
	sub->holder = NULL;
	wg->sub = NULL;
	send_answer(site, sub, true);
	sub->ops->send(sub);
}

/* "?timeout=" in milliseconds. Returns 0, or the status having refused. */
static int
read_timeout(struct site *site, struct subscriber *sub, uint64_t *ms)
{
	const struct feed_settings *fs = &site->request.route->stream;
	const char *text = request_raw_param(&site->request, "timeout");
	unsigned long long n;
	char *end;

	*ms = fs->timeout_ms;
	if (text == NULL)
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n == 0) {
		refuse(site, sub, HTTP_BAD_REQUEST, "The parameter timeout must be milliseconds.");
		return HTTP_BAD_REQUEST;
	}
	*ms = n < fs->timeout_max_ms ? n : fs->timeout_max_ms;
	return 0;
}

static void
wait_for_one(struct site *site, struct subscriber *sub)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	struct request *req = &site->request;
	struct waiting *wg;
	struct feed *fd;
	uint64_t ms;
	int rc;

	if (read_key(site, sub, key) != 0 || read_timeout(site, sub, &ms) != 0)
		return;
	if (req->method == METHOD_HEAD) {
		begin_head(site, "Status: 200 OK\r\nContent-Type: application/json\r\n"
				 "Cache-Control: no-store\r\n");
		answer_empty(site, sub);
		return;
	}
	if ((rc = feed_get(&fd, &req->route->feeds, key, req)) != 0) {
		refuse_open(site, sub, rc);
		return;
	}
	if ((wg = calloc(1, sizeof(*wg))) == NULL) {
		refuse_open(site, sub, -ENOMEM);
		return;
	}
	wg->site = site;
	wg->sub = sub;
	buf_init(&wg->cors, HEAD_MAX);
	if ((rc = cors_put_headers(&wg->cors, req)) < 0 ||
	    (rc = wait_begin(&wg->waiter, fd, ms, request_raw_param(req, "after"), on_waited,
			     on_wait_closed)) != 0) {
		on_wait_closed(&wg->waiter);
		if (rc == -EINVAL)
			refuse(site, sub, HTTP_BAD_REQUEST, "The parameter after is no ID.");
		else
			refuse_open(site, sub, rc);
		return;
	}
	sub->holder = &wg->sub;
}

static const struct route *
find_route(struct site *site)
{
	size_t i;

	for (i = 0; i < site->n_routes; i++) {
		if (request_match(&site->request, site->routes[i]))
			return site->routes[i];
	}
	return NULL;
}

void
site_serve(void *ctx, struct subscriber *sub, const struct params *params, const char *body,
	   size_t body_len)
{
	struct site *site = ctx;
	struct request *req = &site->request;
	const char *why;
	int status;

	if ((status = request_read(req, params, site->base, &why)) != 0) {
		refuse(site, sub, status, why);
		return;
	}
	if (find_route(site) == NULL)
		refuse(site, sub, HTTP_NOT_FOUND, "There is nothing at this path.");
	else if (req->method == METHOD_OPTIONS)
		answer_options(site, sub);
	else if (req->method == METHOD_POST && route_can_publish(req->route))
		publish(site, sub, body, body_len);
	else if (req->method == METHOD_OTHER || req->method == METHOD_POST ||
		 !route_can_follow(req->route))
		refuse(site, sub, 405, "This path does not answer this method.");
	/* A body of a GET means nothing (RFC 9110, 9.3.1). */
	else if (req->route->handler->answer != NULL)
		answer_short(site, sub);
	else if (req->route->handler->is_wait)
		wait_for_one(site, sub);
	else
		open_stream(site, sub);
}

int
site_new(struct site **out, struct hub *hub)
{
	struct site *site = calloc(1, sizeof(*site));

	if (site == NULL)
		return -ENOMEM;
	if ((site->base = strdup("")) == NULL) {
		free(site);
		return -ENOMEM;
	}
	site->hub = hub;
	buf_init(&site->head, HEAD_MAX);
	buf_init(&site->body, BODY_MAX);
	*out = site;
	return 0;
}

static void
free_site_if_closed(struct site *site)
{
	void (*on_closed)(void *arg) = site->on_closed;
	void *arg = site->closed_arg;

	if (on_closed == NULL || site->n_closing > 0)
		return;
	buf_fini(&site->head);
	buf_fini(&site->body);
	free(site->base);
	free(site);
	on_closed(arg);
}

static void
on_feeds_closed(struct feed_class *fc)
{
	struct route *rt = (struct route *)(void *)((char *)fc - offsetof(struct route, feeds));
	struct site *site = rt->site;

	route_free(rt);
	site->n_closing--;
	free_site_if_closed(site);
}

static void
close_route(struct site *site, struct route *rt, enum end_reason reason)
{
	if (!rt->is_serving) {
		route_free(rt);
		return;
	}
	site->n_closing++;
	feed_class_close(&rt->feeds, reason, on_feeds_closed);
}

/* The old route that the new one is the same as, taken out of the old table; or NULL. */
static struct route *
take_same(struct site *site, const struct route *rt)
{
	size_t i;

	for (i = 0; i < site->n_routes; i++) {
		struct route *old = site->routes[i];

		if (old != NULL && route_is_same(old, rt)) {
			site->routes[i] = NULL;
			return old;
		}
	}
	return NULL;
}

static struct route *
begin_route(struct site *site, struct route *rt)
{
	struct route *old = take_same(site, rt);

	if (old != NULL) {
		route_free(rt);
		return old;
	}
	rt->site = site;
	if (rt->handler->answer == NULL) {
		feed_class_init(&rt->feeds, site->hub, rt->handler, &rt->stream, rt);
		rt->is_serving = true;
	}
	return rt;
}

static void
close_routes(struct site *site, enum end_reason reason)
{
	size_t i;

	for (i = 0; i < site->n_routes; i++) {
		if (site->routes[i] != NULL)
			close_route(site, site->routes[i], reason);
	}
	free(site->routes);
	site->routes = NULL;
	site->n_routes = 0;
}

int
site_set_routes(struct site *site, struct route **routes, size_t n, const char *base)
{
	struct route **table = calloc(n + 1, sizeof(struct route *));
	char *new_base = strdup(base);
	size_t i;

	if (table == NULL || new_base == NULL) {
		free(table);
		free(new_base);
		for (i = 0; i < n; i++)
			route_free(routes[i]);
		return -ENOMEM;
	}
	for (i = 0; i < n; i++)
		table[i] = begin_route(site, routes[i]);
	close_routes(site, END_RELOAD);
	site->routes = table;
	site->n_routes = n;
	free(site->base);
	site->base = new_base;
	return 0;
}

void
site_close(struct site *site, void (*on_closed)(void *arg), void *arg)
{
	close_routes(site, END_DRAIN);
	site->on_closed = on_closed;
	site->closed_arg = arg;
	free_site_if_closed(site);
}

/* What relay's open() is (sluice/handler.h): here, for the route knows its templates. */

static int
open_subjects(struct feed *feed, const struct request *req, struct template *const *list,
	      int (*open)(struct feed *feed, const char *fmt, ...))
{
	struct template_value params[KEY_PARAMS_MAX + 1];
	struct template_scope scope = {.params = params};
	struct buf name;
	const char *param;
	size_t n;
	int status = 0;

	for (n = 0; (param = route_key_param(req->route, n)) != NULL && n < KEY_PARAMS_MAX; n++)
		params[n] = (struct template_value){param, request_param(req, param)};
	params[n].name = NULL;
	buf_init(&name, HEAD_MAX);
	for (; list != NULL && *list != NULL && status == 0; list++) {
		buf_truncate(&name, 0);
		if (template_expand(*list, &scope, &name) < 0 || buf_putc(&name, '\0') < 0)
			status = HTTP_INTERNAL_ERROR;
		else
			status = open(feed, "%s", name.p);
	}
	buf_fini(&name);
	return status;
}

int
feed_subjects(struct feed *feed, const struct request *req)
{
	const struct route *rt = req->route;
	int status;

	if ((status = open_subjects(feed, req, rt->channels, feed_channel)) != 0 ||
	    (status = open_subjects(feed, req, rt->patterns, feed_pattern)) != 0)
		return status;
	return open_subjects(feed, req, rt->streams, feed_stream);
}
