/*
 * carrying.c - a request that is part of a mux connection. The web server guards paths and does not
 * see this one's; the browser checks the head of an answer and does not see this one's. So the
 * section of the mux says which routes it carries, and each of those obeys its own cors_origins.
 */
#include <string.h>

#include "route/origin.h"
#include "route/serving.h"

static const struct route *
find_mux(const struct serving *sv, const char *name, size_t len)
{
	const struct route *rt;
	size_t n;

	for (n = 0; (rt = sv->in->nth_route(sv->in, n)) != NULL; n++) {
		if (strlen(rt->name) == len && memcmp(rt->name, name, len) == 0)
			return rt;
	}
	return NULL;
}

bool
carrying_may(struct serving *sv)
{
	const struct request *req = sv->req;
	const struct service *service;
	const struct route *mux;
	const char *name;
	size_t len;

	if (request_carrier(req, &name, &len) == NULL)
		return true;
	service = service_find(req);
	mux = find_mux(sv, name, len);
	if (!route_can_be_carried(req->route) || (service != NULL && !service->is_stream))
		serving_refuse(sv, HTTP_BAD_REQUEST,
			       req->route->handler->kind == HANDLER_QUEUE
				   ? "A queue needs ack = client to be one of many on a connection."
				   : "A connection carries event streams, and this is none.");
	else if (mux == NULL || !route_carries(mux, req->route))
		serving_refuse(sv, HTTP_FORBIDDEN, "This connection does not carry this route.");
	else
		return true;
	return false;
}

bool
carrying_may_read(struct serving *sv)
{
	const struct request *req = sv->req;
	const char *name;
	size_t len;

	if (request_carrier(req, &name, &len) == NULL ||
	    origin_may_read(req, sv->who->is_by_cookie))
		return true;
	serving_refuse(sv, HTTP_FORBIDDEN,
		       "The page is of a site that is not among the route's cors_origins.");
	return false;
}
