#include "route/site.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "route/cors.h"
#include "route/origin.h"
#include "route/mux.h"
#include "route/serving.h"
#include "sse/event.h"

struct reply {
	const char *type;
	struct answer *out;
};

void
reply_type(struct reply *reply, const char *type)
{
	reply->type = type;
}

void
reply_printf(struct reply *reply, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	answer_vprintf(reply->out, fmt, ap);
	va_end(ap);
}

void
site_begin(struct site *site, int status, const char *type)
{
	answer_begin(&site->out, status, type);
	answer_check(&site->out, cors_put_headers(&site->out.head, &site->request));
}

void
site_begin_stream(struct site *site)
{
	answer_begin_stream(&site->out, request_wire(&site->request)->content_type);
	answer_check(&site->out, cors_put_headers(&site->out.head, &site->request));
}

void
site_send(struct site *site, struct subscriber *sub)
{
	if (answer_end(&site->out) < 0 ||
	    subscriber_answer(sub, &site->out, site->request.method != METHOD_HEAD) < 0)
		logger_error("out of memory: an answer is cut short");
}

/* The answer to a request that cannot be served. detail names the rule, and nothing of ours. */
void
site_refuse(struct site *site, struct subscriber *sub, int status, const char *detail)
{
	site_refuse_until(site, sub, status, detail, 0);
}

void
site_refuse_until(struct site *site, struct subscriber *sub, int status, const char *detail,
		  unsigned retry_after_s)
{
	counters_refused(site->request.route != NULL ? site->request.route->counted : 0,
			 (unsigned)status);
	answer_problem(&site->out, status, detail, retry_after_s);
	if (status == HTTP_METHOD_NOT_ALLOWED)
		answer_field(&site->out, "Allow", "%s", route_methods(site->request.route));
	if (status == HTTP_UNAUTHORIZED)
		answer_field(&site->out, "WWW-Authenticate", "Bearer%s",
			     site->has_bad_token ? " error=\"invalid_token\"" : "");
	answer_check(&site->out, cors_put_headers(&site->out.head, &site->request));
	site_send(site, sub);
}

static void
answer_options(struct site *site, struct subscriber *sub)
{
	site_begin(site, HTTP_NO_CONTENT, NULL);
	answer_check(&site->out, cors_put_preflight(&site->out.head, &site->request));
	site_send(site, sub);
}

/* A client whose stream was ended for good: at 204 an EventSource gives up (HTML 9.2.2). */
static void
answer_ended(struct site *site, struct subscriber *sub)
{
	site_begin(site, HTTP_NO_CONTENT, NULL);
	site_send(site, sub);
}

/* A value that breaks its rule could name another's channel. Returns 0, or the status having
 * refused. */
int
site_check_param(struct site *site, struct subscriber *sub, const char *name, const char *value)
{
	bool is_who = identity_is_name(name);
	int status = is_who ? HTTP_FORBIDDEN : HTTP_BAD_REQUEST;
	char detail[1024];

	if (*name == '?')
		return 0; /* for Lua, which makes no name of it */
	if (value != NULL && route_param_ok(site->request.route, name, value))
		return 0;
	if (value == NULL && is_who)
		snprintf(detail, sizeof(detail), "The credential %s %s.",
			 identity_has_other(&site->identity, name)
			     ? "says neither a text nor an integer as"
			     : "says no",
			 name);
	else if (value == NULL)
		snprintf(detail, sizeof(detail), "The parameter %s is missing.", name);
	else
		snprintf(detail, sizeof(detail), "The %s%s must match %s.",
			 is_who ? "" : "parameter ", name,
			 route_rule_text(site->request.route, name));
	site_refuse(site, sub, status, detail);
	return status;
}

static bool
check_channels(struct site *site, struct subscriber *sub, const struct template_value *key)
{
	const struct route *rt = site->request.route;
	struct template *const *all[] = {rt->channels, rt->patterns, rt->streams};
	struct template *const *lists[4];
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		if (all[i] != NULL)
			lists[n++] = all[i];
	}
	lists[n] = NULL;
	return authorising_check_channels(site, sub, lists, key);
}

/*
 * The parameters of the path, those that the handler asks for, of which none need be there, and
 * those on which the feed depends. As site_check_param().
 */
int
site_read_key(struct site *site, struct subscriber *sub, struct template_value *key)
{
	const struct request *req = &site->request;
	const char *const *asked = req->route->handler->params;
	const char *name, *value;
	size_t n;
	int status;

	for (n = 0; (name = path_param(req->route->path, n)) != NULL; n++) {
		if ((status = site_check_param(site, sub, name, req->values[n])) != 0)
			return status;
	}
	for (n = 0; asked != NULL && asked[n] != NULL; n++) {
		value = request_raw_param(req, asked[n]);
		if (value != NULL && (status = site_check_param(site, sub, asked[n], value)) != 0)
			return status;
	}
	for (n = 0; (name = route_key_param(req->route, n)) != NULL && n < KEY_PARAMS_MAX; n++) {
		key[n] = (struct template_value){name, request_raw_param(req, name)};
		if ((status = site_check_param(site, sub, name, key[n].value)) != 0)
			return status;
	}
	key[n].name = NULL;
	return check_channels(site, sub, key) ? 0 : HTTP_FORBIDDEN;
}

void
site_answer_end(struct site *site, struct subscriber *sub, enum end_reason reason,
		unsigned retry_ms)
{
	const struct request *req = &site->request;

	site_begin_stream(site);
	answer_check(&site->out, subscriber_put_end(&site->out.body, request_wire(req),
						    &req->route->stream, reason, retry_ms));
	site_send(site, sub);
}

void
site_refuse_open(struct site *site, struct subscriber *sub, int rc)
{
	if (rc < 0)
		site_refuse(site, sub, HTTP_UNAVAILABLE,
			    "This server has no room for another stream.");
	else if (rc == HTTP_FORBIDDEN)
		site_refuse(site, sub, rc, "This route's messages may not be read.");
	else
		site_refuse(site, sub, rc, "The route's handler refuses this request.");
}

static void
open_stream(struct site *site, struct subscriber *sub)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	struct request *req = &site->request;
	char address[ORIGIN_ADDRESS_MAX];
	const char *why = "";
	struct grant *grant;
	struct feed *fd;
	int rc;

	if (site_read_key(site, sub, key) != 0)
		return;
	if (req->last_event_id != NULL &&
	    event_is_end_id(req->last_event_id, strlen(req->last_event_id))) {
		answer_ended(site, sub);
		return;
	}
	if (hub_is_draining(site->hub)) {
		site_answer_end(site, sub, END_DRAIN,
				hub_return_ms(site->hub, req->route->stream.retry_ms));
		return;
	}
	if (req->method == METHOD_HEAD) {
		site_begin_stream(site);
		site_send(site, sub);
		return;
	}
	origin_address(address, req, site->trusted_proxies);
	rc = grants_take(&grant, site->grants, req, address, &why);
	if (rc == -EAGAIN && authorising_wait_for_place(site, sub))
		return;
	if (rc > 0 || rc == -EAGAIN) {
		site_refuse(site, sub, HTTP_TOO_MANY_REQUESTS, why);
		return;
	}
	req->is_opening = true;
	site_begin_stream(site);
	if (rc < 0 || (rc = answer_end(&site->out)) < 0 ||
	    (rc = feed_get(&fd, &req->route->feeds, request_wire(req), key, req)) != 0 ||
	    (rc = feed_join(fd, sub, site->out.head.p, site->out.head.len, req->last_event_id)) !=
		0) {
		grants_give_back(grant);
		site_refuse_open(site, sub, rc);
	} else if (grant != NULL && grants_keep(grant, sub) < 0) {
		subscriber_end(sub, END_SLOW); /* out of memory: it comes back */
	}
}

static void
answer_short(struct site *site, struct subscriber *sub)
{
	struct request *req = &site->request;
	struct answer made; /* its status is known last */
	struct reply reply = {.type = "text/plain; charset=utf-8", .out = &made};
	int status;

	answer_init(&made);
	status = req->route->handler->answer(&reply, req);
	if (made.is_broken) {
		site_refuse(site, sub, HTTP_INTERNAL_ERROR, "The answer could not be made.");
	} else {
		site_begin(site, status, reply.type);
		answer_put(&site->out, made.body.p, made.body.len);
		site_send(site, sub);
	}
	answer_fini(&made);
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

/* Who follows a queue acknowledges; who publishes is another matter. */
static void
serve_post(struct site *site, struct subscriber *sub, const char *body, size_t len)
{
	const struct route *rt = site->request.route;
	bool is_ack = rt->handler->is_queue && request_raw_param(&site->request, "ack") != NULL;
	bool is_mux = rt->handler == &mux_handler;

	if (!is_ack && !is_mux && !route_can_publish(rt))
		site_refuse(site, sub, HTTP_METHOD_NOT_ALLOWED,
			    "This path does not answer this method.");
	else if (!authorising_check(site, sub, is_ack || is_mux ? &rt->auth : &rt->publish.auth,
				    body, len))
		return;
	else if (is_mux)
		mux_serve_post(site, sub, body, len);
	else if (is_ack)
		acking_serve(site, sub);
	else
		posting_serve(site, sub, body, len);
}

/*
 * A client that cannot read a stream asks for one message at a time. What it accepts says nothing:
 * some that stand in for EventSource accept JSON. A feed that works by timers, or for subscribers
 * alone, has no message for it.
 */
bool
site_wants_one(const struct request *req)
{
	const struct handler *h = req->route->handler;
	const char *mode = query_get(&req->query, "mode");

	return mode != NULL && strcmp(mode, "poll") == 0 && !h->is_queue &&
	       (h->timer == NULL || h->tells_state);
}

bool
site_answers_short(const struct site *site)
{
	const struct handler *h = site->request.route->handler;
	const char *mode = query_get(&site->request.query, "mode");

	return h->answer != NULL &&
	       (h->open == NULL || mode == NULL || strcmp(mode, "stream") != 0);
}

static void
serve_get(struct site *site, struct subscriber *sub)
{
	const struct handler *h = site->request.route->handler;

	if (site_answers_short(site))
		answer_short(site, sub);
	else if (h->is_wait || site_wants_one(&site->request))
		waiting_serve(site, sub);
	else
		open_stream(site, sub);
}

void
site_serve(void *ctx, struct subscriber *sub, const struct params *params, const char *body,
	   size_t body_len)
{
	struct site *site = ctx;
	struct request *req = &site->request;
	const char *why;
	int status;

	identity_fini(&site->identity);
	site->has_bad_token = false;
	req->identity = &site->identity;
	if ((status = request_read(req, params, site->base, &why)) != 0) {
		site_refuse(site, sub, status, why);
		return;
	}
	if (find_route(site) == NULL) {
		site_refuse(site, sub, HTTP_NOT_FOUND, "There is nothing at this path.");
		return;
	}
	counters_add_route(req->route->counted, COUNTER_REQUESTS, 1);
	if (req->method != METHOD_OPTIONS &&
	    request_read_query(req, site->auth != NULL ? site->auth->jwt_query : NULL) < 0)
		site_refuse(site, sub, HTTP_BAD_REQUEST,
			    "A parameter is malformed, too long, or there twice.");
	else if (!carrying_may(site, sub))
		return;
	else if (req->method == METHOD_OPTIONS)
		answer_options(site, sub);
	else if (req->method == METHOD_POST)
		serve_post(site, sub, body, body_len);
	else if (req->method == METHOD_OTHER || !route_can_follow(req->route))
		site_refuse(site, sub, HTTP_METHOD_NOT_ALLOWED,
			    "This path does not answer this method.");
	/* A body of a GET means nothing (RFC 9110, 9.3.1). */
	else if (authorising_check(site, sub, &req->route->auth, "", 0) &&
		 carrying_may_read(site, sub))
		serve_get(site, sub);
}

static void free_site_if_closed(struct site *site);

static void
on_part_closed(void *arg)
{
	struct site *site = arg;

	site->n_parts--;
	free_site_if_closed(site);
}

int
site_new(struct site **out, struct hub *hub, uv_loop_t *loop)
{
	struct site *site = calloc(1, sizeof(*site));

	if (site == NULL)
		return -ENOMEM;
	if ((site->base = strdup("")) == NULL || sessions_new(&site->sessions, hub, loop) < 0 ||
	    grants_new(&site->grants, hub, loop, site->sessions) < 0 ||
	    authorising_init(site, loop) < 0) {
		free(site->base);
		free(site); /* out of memory at the start: the process ends */
		return -ENOMEM;
	}
	site->n_parts = 3;
	site->hub = hub;
	answer_init(&site->out);
	*out = site;
	return 0;
}

static void
free_site_if_closed(struct site *site)
{
	void (*on_closed)(void *arg) = site->on_closed;
	void *arg = site->closed_arg;

	if (on_closed == NULL || site->n_closing > 0 || site->n_parts > 0)
		return;
	answer_fini(&site->out);
	identity_fini(&site->identity);
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
	rt->counted = counters_of(rt->name);
	if (rt->handler->open != NULL) {
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

const struct route *
site_route(const struct site *site, size_t n)
{
	return n < site->n_routes ? site->routes[n] : NULL;
}

void
site_close(struct site *site, void (*on_closed)(void *arg), void *arg)
{
	close_routes(site, END_DRAIN);
	site->on_closed = on_closed;
	site->closed_arg = arg;
	pending_close(site->pending, on_part_closed, site);
	grants_close(site->grants, on_part_closed, site);
	sessions_close(site->sessions, on_part_closed, site);
}

void
site_set_auth(struct site *site, const struct auth_settings *auth, uint64_t max_subscribers,
	      char *const *trusted_proxies)
{
	const struct grant_settings settings = {auth, max_subscribers};

	site->auth = auth;
	site->trusted_proxies = trusted_proxies;
	sessions_set(site->sessions, auth);
	grants_set(site->grants, &settings);
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
