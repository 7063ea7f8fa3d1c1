#include "route/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/list.h"
#include "route/cors.h"
#include "route/doctoring.h"
#include "route/serving.h"
#include "route/table.h"

/* One request is served at a time, so what is read of it is the site's. */
struct site {
	struct serving_context in; /* services hand it back */
	struct table table;
	char *base;
	struct request request;
	struct identity who;
	struct answer out;
	struct doctoring *doctoring;
	unsigned n_closing; /* what site_close() waits for, besides the routes */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* Dispatch */

static bool
find_route(struct site *site, struct request *req)
{
	for (size_t i = 0; i < site->table.n; i++) {
		if (request_match(req, site->table.routes[i]))
			return true;
	}
	return false;
}

static void
answer_options(struct serving *sv)
{
	serving_begin(sv, HTTP_NO_CONTENT, NULL);
	answer_check(sv->out, cors_put_preflight(&sv->out->head, sv->req));
	serving_send(sv);
}

static bool
read_query(struct serving *sv)
{
	const struct auth_settings *auth = sv->in->auth;
	int rc = request_read_query(sv->req, auth != NULL ? auth->jwt_query : NULL);

	if (rc == -E2BIG)
		serving_refuse(
		    sv, HTTP_BAD_REQUEST,
		    "The parameters that count are more than 100, or longer than 4096 "
		    "bytes together. (Further subscriptions of a connection are added by "
		    "POST.)");
	else if (rc < 0)
		serving_refuse(sv, HTTP_BAD_REQUEST, "A parameter is malformed, or there twice.");
	return rc == 0;
}

/*
 * What is told at once says what Redis is like. A process that began with the request has not
 * reached it yet, and would say that it is away.
 */
static bool
needs_redis(const struct serving *sv)
{
	return sv->service->tells_redis ||
	       (sv->in->began_with_request && sv->service == &service_short);
}

/*
 * The order is that of what each step may know. The query is read by the route's names, so the
 * route is found first; who may ask depends on the service (publishing has a list of its own), so
 * that is found before the credentials are looked at. A preflight has none, and is answered before.
 * A request that is part of a mux connection is judged twice: whether the connection carries this
 * route at all does not depend on who asks; whether the page may read the answer does.
 */
static void
dispatch(struct serving *sv)
{
	const struct route *rt = sv->req->route;

	counters_add_route(rt->counted, COUNTER_REQUESTS, 1);
	if (sv->req->method == METHOD_OPTIONS) {
		answer_options(sv);
		return;
	}
	if (!read_query(sv))
		return;
	if (!carrying_may(sv))
		return;
	if ((sv->service = service_find(sv->req)) == NULL) {
		serving_refuse(sv, HTTP_METHOD_NOT_ALLOWED,
			       "This path does not answer this method.");
		return;
	}
	if (sv->req->method != METHOD_POST)
		sv->body_len = 0; /* a body of a GET has no meaning (RFC 9110, 9.3.1) */
	if (!authorising_check(sv, sv->service->auth(rt)) || !carrying_may_read(sv) ||
	    (needs_redis(sv) && serving_await_redis(sv)))
		return;
	sv->service->serve(sv);
}

static void
serve_request(struct serving_context *in, struct subscriber *sub, const struct params *vars,
	      const char *body, size_t len, const struct kept_answer *kept)
{
	struct site *site = LIST_ENTRY(in, struct site, in);
	struct serving sv = {.sub = sub,
			     .req = &site->request,
			     .who = &site->who,
			     .out = &site->out,
			     .body = body,
			     .body_len = len,
			     .was_kept = kept != NULL,
			     .in = in};
	const char *why;
	int status;

	if (kept != NULL)
		sv.kept = *kept;
	identity_fini(&site->who);
	site->request.identity = &site->who;
	if (doctoring_serve(site->doctoring, &sv, vars))
		return;
	if ((status = request_read(sv.req, vars, site->base, &why)) != 0)
		serving_refuse(&sv, status, why);
	else if (!find_route(site, sv.req))
		serving_refuse(&sv, HTTP_NOT_FOUND, "There is nothing at this path.");
	else
		dispatch(&sv);
}

void
site_serve(void *ctx, struct subscriber *sub, const struct params *params, const char *body,
	   size_t body_len)
{
	struct site *site = ctx;

	serve_request(&site->in, sub, params, body, body_len, NULL);
}

/* Life */

static const struct route *
nth_route(const struct serving_context *in, size_t n)
{
	const struct site *site = LIST_ENTRY(in, struct site, in);

	return n < site->table.n ? site->table.routes[n] : NULL;
}

const struct route *
site_route(const struct site *site, size_t n)
{
	return nth_route(&site->in, n);
}

static void
free_if_closed(struct site *site)
{
	void (*on_closed)(void *arg) = site->on_closed;
	void *arg = site->closed_arg;

	if (on_closed == NULL || site->table.n_closing > 0 || site->n_closing > 0)
		return;
	answer_fini(&site->out);
	identity_fini(&site->who);
	free(site->base);
	free(site);
	on_closed(arg);
}

static void *
await_one(struct site *site)
{
	site->n_closing++;
	return site;
}

static void
on_one_closed(void *arg)
{
	struct site *site = arg;

	site->n_closing--;
	free_if_closed(site);
}

static void
on_route_gone(struct table *table)
{
	free_if_closed(LIST_ENTRY(table, struct site, table));
}

int
site_new(struct site **out, struct hub *hub, uv_loop_t *loop)
{
	struct site *site = calloc(1, sizeof(*site));

	if (site == NULL)
		return -ENOMEM;
	site->in = (struct serving_context){
	    .hub = hub, .out = &site->out, .serve = serve_request, .nth_route = nth_route};
	if ((site->base = strdup("")) == NULL || sessions_new(&site->in.sessions, hub, loop) < 0 ||
	    grants_new(&site->in.grants, hub, loop, site->in.sessions) < 0 ||
	    pending_new(&site->in.pending, loop, &site->in, serve_request) < 0 ||
	    doctoring_new(&site->doctoring, hub, loop) < 0) {
		free(site->base);
		free(site); /* memory is short at the start, so the process ends */
		return -ENOMEM;
	}
	site->table = (struct table){.hub = hub, .in = &site->in, .on_gone = on_route_gone};
	answer_init(&site->out);
	*out = site;
	return 0;
}

void
site_begins_with_request(struct site *site)
{
	site->in.began_with_request = true;
}

int
site_set_routes(struct site *site, struct route **routes, size_t n, const char *base)
{
	char *new_base = strdup(base);

	if (new_base == NULL) {
		for (size_t i = 0; i < n; i++)
			route_free(routes[i]);
		return -ENOMEM;
	}
	if (table_set(&site->table, routes, n) < 0) {
		free(new_base);
		return -ENOMEM;
	}
	free(site->base);
	site->base = new_base;
	return 0;
}

void
site_close(struct site *site, void (*on_closed)(void *arg), void *arg)
{
	table_close(&site->table, END_DRAIN);
	site->on_closed = on_closed;
	site->closed_arg = arg;
	await_one(site); /* this call itself: nothing is freed before all have begun to close */
	doctoring_close(site->doctoring, on_one_closed, await_one(site));
	pending_close(site->in.pending, on_one_closed, await_one(site));
	grants_close(site->in.grants, on_one_closed, await_one(site));
	sessions_close(site->in.sessions, on_one_closed, await_one(site));
	on_one_closed(site);
}

void
site_set_auth(struct site *site, const struct auth_settings *auth, uint64_t max_subscribers,
	      char *const *trusted_proxies)
{
	const struct grant_settings settings = {auth, max_subscribers};

	site->in.auth = auth;
	site->in.trusted_proxies = trusted_proxies;
	sessions_set(site->in.sessions, auth);
	grants_set(site->in.grants, &settings);
}
