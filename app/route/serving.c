#include "route/serving.h"

#include <errno.h>

#include "base/counters.h"
#include "base/clock.h"
#include "base/logger.h"
#include "hub/announce.h"
#include "redis/command.h"
#include "route/cors.h"
#include "route/origin.h"

enum { PLACE_AGAIN_MS = 100, REDIS_AGAIN_MS = 25 };

static void
put_cors(struct serving *sv)
{
	answer_check(sv->out, cors_put_headers(&sv->out->head, sv->req));
}

void
serving_begin(struct serving *sv, int status, const char *type)
{
	answer_begin(sv->out, status, type);
	put_cors(sv);
}

void
serving_begin_stream(struct serving *sv)
{
	answer_begin_stream(sv->out, sv->req->wire->content_type);
	put_cors(sv);
}

int
serving_make_head(struct serving *sv)
{
	serving_begin_stream(sv);
	return answer_end(sv->out);
}

void
serving_send(struct serving *sv)
{
	if (answer_end(sv->out) < 0 ||
	    subscriber_answer(sv->sub, sv->out, sv->req->method != METHOD_HEAD) < 0)
		logger_error("out of memory: an answer is cut short");
}

void
serving_refuse(struct serving *sv, int status, const char *detail)
{
	serving_refuse_until(sv, status, detail, 0);
}

void
serving_refuse_until(struct serving *sv, int status, const char *detail, unsigned retry_after_s)
{
	counters_refused(sv->req->route != NULL ? sv->req->route->counted : 0, (unsigned)status);
	answer_problem(sv->out, status, detail, retry_after_s);
	if (status == HTTP_METHOD_NOT_ALLOWED)
		answer_field(sv->out, "Allow", route_methods(sv->req->route));
	if (status == HTTP_UNAUTHORIZED)
		answer_field(sv->out, "WWW-Authenticate",
			     sv->has_bad_token ? "Bearer error=\"invalid_token\"" : "Bearer");
	put_cors(sv);
	serving_send(sv);
}

void
serving_refuse_open(struct serving *sv, int rc)
{
	if (rc < 0)
		serving_refuse(sv, HTTP_UNAVAILABLE, "This server has no room for another stream.");
	else if (rc == HTTP_FORBIDDEN)
		serving_refuse(sv, rc, "This route's messages may not be read.");
	else if (rc == HTTP_BAD_REQUEST && sv->req->route->handler->kind == HANDLER_MUX)
		serving_refuse(sv, rc,
			       "The parameter s must be a JSON array of [key, path] or [key, path, "
			       "last id], at most 500, each key once.");
	else
		serving_refuse(sv, rc, "The route's handler refuses this request.");
}

void
serving_end_stream(struct serving *sv, enum end_reason reason, unsigned retry_ms)
{
	serving_begin_stream(sv);
	answer_check(sv->out, subscriber_put_end(&sv->out->body, sv->req->wire,
						 &sv->req->route->stream, reason, retry_ms));
	serving_send(sv);
}

struct pending_request
serving_request(const struct serving *sv, struct patience patience)
{
	return (struct pending_request){.sub = sv->sub,
					.params = sv->req->vars,
					.body = sv->body,
					.body_len = sv->body_len,
					.patience = patience,
					.age = sv->was_kept ? SESSION_RECENT : SESSION_ANEW};
}

/*
 * A limit is reached, and the open streams are probed. true: the request, a GET, waits; false: it
 * has waited long enough.
 */
static bool
wait_for_place(struct serving *sv)
{
	struct pending_request rq = serving_request(sv, sv->kept.patience);

	rq.body_len = 0;
	if (rq.patience.place_ms == 0)
		rq.patience.place_ms = clock_ms() + GRANTS_PROBE_MS;
	/*
	 * The decision about the user stands. If it must be made again, the request has the whole
	 * time for it again.
	 */
	rq.patience.decide_ms = 0;
	return clock_ms() < rq.patience.place_ms &&
	       pending_retry(sv->in->pending, &rq, PLACE_AGAIN_MS) == 0;
}

bool
serving_await_redis(struct serving *sv)
{
	const struct command *command = hub_command(sv->in->hub);
	struct pending_request rq = serving_request(sv, sv->kept.patience);

	if (command != NULL && command_is_up(command) &&
	    (!sv->in->began_with_request || hub_redis_is_up(sv->in->hub)))
		return false;
	if (rq.patience.redis_ms == 0)
		rq.patience.redis_ms = clock_ms() + sv->req->route->stream.open_wait_ms;
	return clock_ms() < rq.patience.redis_ms &&
	       pending_retry(sv->in->pending, &rq, REDIS_AGAIN_MS) == 0;
}

int
serving_take_grant(struct serving *sv, struct grant **grant)
{
	char address[ORIGIN_ADDRESS_MAX] = "";
	const char *why = "";
	int rc;

	if (sv->req->route->max_per_ip > 0)
		origin_address(address, sv->req, sv->in->trusted_proxies);
	rc = grants_take(grant, sv->in->grants, sv->req, address, &why);
	if (rc == -EAGAIN && wait_for_place(sv))
		return rc;
	if (rc > 0 || rc == -EAGAIN)
		serving_refuse(sv, HTTP_TOO_MANY_REQUESTS, why);
	else if (rc < 0)
		serving_refuse_open(sv, rc);
	return rc;
}
