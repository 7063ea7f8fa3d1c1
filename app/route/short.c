/* short.c - the service of handlers that answer at once, such as health and status. */
#include <stdarg.h>
#include <string.h>

#include "route/serving.h"

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

/* If the handler can also stream, it takes only requests that do not ask for the stream. */
static bool
takes(const struct request *req)
{
	const struct handler *h = req->route->handler;
	const char *mode = query_get(&req->query, "mode");

	return request_is_get(req) && h->answer != NULL &&
	       (h->open == NULL || mode == NULL || strcmp(mode, "stream") != 0);
}

static void
serve(struct serving *sv)
{
	struct answer made; /* it gets its status at the end */
	struct reply reply = {.type = "text/plain; charset=utf-8", .out = &made};
	int status;

	answer_init(&made);
	status = sv->req->route->handler->answer(&reply, sv->req);
	if (made.is_broken) {
		serving_refuse(sv, HTTP_INTERNAL_ERROR, "The answer could not be made.");
	} else {
		serving_begin(sv, status, reply.type);
		answer_put(sv->out, made.body.p, made.body.len);
		serving_send(sv);
	}
	answer_fini(&made);
}

const struct service service_short = {
    .name = "short",
    .takes = takes,
    .auth = route_auth,
    .serve = serve,
};
