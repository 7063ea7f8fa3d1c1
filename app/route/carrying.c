/*
 * carrying.c - a request that is part of a mux connection: what the web server guards by its path,
 * and the browser by the answer's head, neither of them sees. So the mux's section says which
 * routes it carries, and each of these obeys its own origins.
 */
#include <string.h>

#include "route/origin.h"
#include "route/serving.h"

static const struct route *
find_mux(const struct site *site, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < site->n_routes; i++) {
		const struct route *rt = site->routes[i];

		if (strlen(rt->name) == len && memcmp(rt->name, name, len) == 0)
			return rt;
	}
	return NULL;
}

/* The connection carries the frames of an event stream, and nothing else. */
static bool
is_event_stream(const struct request *req)
{
	const char *mode = query_get(&req->query, "mode");

	return !site_wants_one(req) && (mode == NULL || strcmp(mode, "ndjson") != 0);
}

bool
carrying_may(struct site *site, struct subscriber *sub)
{
	const struct request *req = &site->request;
	const struct route *mux;
	const char *name;
	size_t len;

	if (request_carrier(req, &name, &len) == NULL)
		return true;
	mux = find_mux(site, name, len);
	if (!route_can_be_carried(req->route) || !is_event_stream(req))
		site_refuse(site, sub, HTTP_BAD_REQUEST,
			    req->route->handler->is_queue
				? "A queue needs ack = client to be one of many on a connection."
				: "A connection carries event streams, and this is none.");
	else if (mux == NULL || !route_carries(mux, req->route))
		site_refuse(site, sub, HTTP_FORBIDDEN,
			    "This connection does not carry this route.");
	else
		return true;
	return false;
}

bool
carrying_may_read(struct site *site, struct subscriber *sub)
{
	const struct request *req = &site->request;
	const char *name;
	size_t len;

	if (request_carrier(req, &name, &len) == NULL ||
	    origin_may_read(req, site->identity.is_by_cookie))
		return true;
	site_refuse(site, sub, HTTP_FORBIDDEN,
		    "The page is of a site that is not among the route's cors_origins.");
	return false;
}
