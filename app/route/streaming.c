/* streaming.c - the service of event streams, and of queues, which are streams with an effect. */
#include <string.h>

#include "hub/announce.h"
#include "route/serving.h"
#include "sse/event.h"

static bool
takes_stream(const struct request *req)
{
	return request_is_get(req) && route_can_follow(req->route);
}

static bool
takes_queue(const struct request *req)
{
	return takes_stream(req) && req->route->handler->kind == HANDLER_QUEUE;
}

/*
 * The client's stream was ended for good. An EventSource that is answered 204 gives up (HTML
 * 9.2.2).
 */
static bool
is_ended(const struct request *req)
{
	return req->last_event_id != NULL &&
	       event_is_end_id(req->last_event_id, strlen(req->last_event_id));
}

static void
join(struct serving *sv, const struct template_value *key, struct grant *grant)
{
	struct request *req = sv->req;
	struct feed *fd;
	int rc;

	/*
	 * The head is made first, for the subscriber takes it along. From feed_get() on the handler
	 * may ask only for what is in the feed's key: two clients that share the feed must not get
	 * what the first of them said.
	 */
	req->is_opening = true;
	if ((rc = serving_make_head(sv)) < 0 ||
	    (rc = feed_get(&fd, &req->route->feeds, req->wire, key, req)) != 0 ||
	    (rc = feed_join(fd, sv->sub, sv->out->head.p, sv->out->head.len, req->last_event_id)) !=
		0) {
		grants_give_back(grant);
		serving_refuse_open(sv, rc);
	} else if (grant != NULL && grants_keep(grant, sv->sub) < 0) {
		subscriber_end(sv->sub, END_SLOW); /* memory is short: the client comes back */
	}
}

/* There is no place for it now: it is told when to come back. */
static void
send_away(struct serving *sv, enum end_reason reason)
{
	serving_end_stream(sv, reason,
			   hub_return_ms(sv->in->hub, announce_retry_ms(&sv->req->route->stream)));
}

static void
serve(struct serving *sv)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	struct grant *grant;
	enum end_reason why;

	if (key_read(sv, key) != 0)
		return;
	if (is_ended(sv->req)) {
		serving_begin(sv, HTTP_NO_CONTENT, NULL);
		serving_send(sv);
	} else if (!hub_takes_streams(sv->in->hub, &why)) {
		send_away(sv, why);
	} else if (sv->req->method == METHOD_HEAD) {
		serving_begin_stream(sv);
		serving_send(sv);
	} else if (serving_take_grant(sv, &grant) == 0) {
		join(sv, key, grant);
	}
}

const struct service service_queue = {
    .name = "queue",
    .is_stream = true,
    .has_effect = true,
    .takes = takes_queue,
    .auth = route_auth,
    .serve = serve,
};

const struct service service_streaming = {
    .name = "streaming",
    .is_stream = true,
    .takes = takes_stream,
    .auth = route_auth,
    .serve = serve,
};
