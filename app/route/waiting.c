#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "route/serving.h"
#include "source/wait.h"

/* How long "?mode=poll" waits by default, and how long at most. */
enum { POLL_TIMEOUT_MS = 10000, POLL_TIMEOUT_MAX_MS = 60000 };

/* A client that waits for one event. */
struct waiting {
	struct waiter waiter;
	struct deferred deferred;
	struct grant *grant; /* NULL: it takes no place */
};

/* The client has gone, so its place is given back. */
static void
on_left(struct subscriber_holder *holder)
{
	struct waiting *wg = LIST_ENTRY(holder, struct waiting, deferred.holder);

	grants_give_back(wg->grant);
	wg->grant = NULL;
	wait_cancel(&wg->waiter);
}

static void
on_wait_closed(struct waiter *w)
{
	struct waiting *wg = LIST_ENTRY(w, struct waiting, waiter);

	grants_give_back(wg->grant);
	deferred_fini(&wg->deferred);
	free(wg);
}

/* The id is meant for the next "?after=". */
static bool
is_place(const struct event *ev)
{
	return ev->id != NULL && ev->id_len <= EVENT_ID_MAX &&
	       (ev->id_len != strlen(CURSOR_NONE) || memcmp(ev->id, CURSOR_NONE, ev->id_len) != 0);
}

/* What is not JSON becomes a JSON string. */
static void
answer_event(struct deferred *deferred, const struct event *ev)
{
	const char *data = ev->data != NULL ? ev->data : "";
	struct answer *out = deferred->out;

	deferred_begin(deferred, HTTP_OK, "application/json");
	if (is_place(ev))
		answer_field_printf(out, "Last-Event-ID", "%.*s", (int)ev->id_len, ev->id);
	if (json_text_check(data, ev->data_len, NULL))
		answer_put(out, data, ev->data_len);
	else
		answer_check(out, json_put_string(&out->body, data, ev->data_len));
	if (out->is_broken)
		deferred_refuse(deferred, HTTP_UNAVAILABLE, "This server has no room for it.");
	else
		deferred_send(deferred);
}

static void
on_waited(struct waiter *w, const struct event *ev)
{
	struct waiting *wg = LIST_ENTRY(w, struct waiting, waiter);

	if (ev == NULL)
		deferred_refuse(&wg->deferred, HTTP_GATEWAY_TIMEOUT, "No message came in time.");
	else
		answer_event(&wg->deferred, ev);
}

/* "?timeout=" in milliseconds. Returns 0, or the status having refused. */
static int
read_timeout(struct serving *sv, uint64_t *ms)
{
	const struct handler_settings *keys = &sv->req->route->stream.handler_settings;
	bool has_keys = sv->req->route->handler->kind == HANDLER_WAIT;
	uint64_t max = has_keys ? handler_setting_number(keys, "timeout_max") : POLL_TIMEOUT_MAX_MS;
	const char *text = request_raw_param(sv->req, "timeout");
	unsigned long long n;
	char *end;

	*ms = has_keys ? handler_setting_number(keys, "timeout") : POLL_TIMEOUT_MS;
	if (text == NULL)
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n == 0) {
		serving_refuse(sv, HTTP_BAD_REQUEST, "The parameter timeout must be milliseconds.");
		return HTTP_BAD_REQUEST;
	}
	*ms = n < max ? n : max;
	return 0;
}

static const struct waiter_ops waiter_ops = {.on_event = on_waited, .on_closed = on_wait_closed};

/*
 * Lets the client wait for the feed's next event. Returns 0; or what wait_begin() returned, and
 * then nothing has begun.
 */
static int
wait_for(struct serving *sv, struct feed *fd, uint64_t ms, struct grant *grant)
{
	struct waiting *wg = calloc(1, sizeof(*wg));
	int rc;

	if (wg == NULL) {
		grants_give_back(grant);
		return -ENOMEM;
	}
	wg->grant = grant;
	if ((rc = deferred_init(&wg->deferred, sv)) < 0 ||
	    (rc = wait_begin(&wg->waiter, fd, ms, request_raw_param(sv->req, "after"),
			     &waiter_ops)) != 0) {
		on_wait_closed(&wg->waiter);
		return rc;
	}
	deferred_expect(&wg->deferred, sv->sub);
	wg->deferred.holder.left = on_left;
	return 0;
}

static void
serve_head(struct serving *sv)
{
	serving_begin(sv, HTTP_OK, NULL);
	answer_field(sv->out, "Content-Type", "application/json");
	serving_send(sv);
}

static void
serve(struct serving *sv)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	struct grant *grant;
	struct feed *fd;
	uint64_t ms;
	int rc;

	if (key_read(sv, key) != 0 || read_timeout(sv, &ms) != 0)
		return;
	if (sv->req->method == METHOD_HEAD) {
		serve_head(sv);
		return;
	}
	if (serving_take_grant(sv, &grant) != 0)
		return;
	sv->req->is_opening = true;
	if ((rc = feed_get(&fd, &sv->req->route->feeds, &wire_event_stream, key, sv->req)) != 0) {
		grants_give_back(grant);
		serving_refuse_open(sv, rc);
	} else if ((rc = wait_for(sv, fd, ms, grant)) == -EINVAL) {
		serving_refuse(sv, HTTP_BAD_REQUEST, "The parameter after is no ID.");
	} else if (rc != 0) {
		serving_refuse_open(sv, rc);
	}
}

static bool
takes_wait(const struct request *req)
{
	return request_is_get(req) && route_can_follow(req->route) &&
	       req->route->handler->kind == HANDLER_WAIT;
}

/*
 * A client that cannot read a stream asks for one message at a time. Its Accept does not matter:
 * some programs that stand in for EventSource accept JSON. A feed that works by timers, or for each
 * subscriber alone, has no message for it.
 */
static bool
takes_poll(const struct request *req)
{
	const struct handler *h = req->route->handler;
	const char *mode = query_get(&req->query, "mode");

	return request_is_get(req) && route_can_follow(req->route) && mode != NULL &&
	       strcmp(mode, "poll") == 0 && h->kind != HANDLER_QUEUE &&
	       (h->timer == NULL || h->tells_state);
}

const struct service service_waiting = {
    .name = "waiting",
    .has_effect = true,
    .takes = takes_wait,
    .auth = route_auth,
    .serve = serve,
};

const struct service service_polling = {
    .name = "polling",
    .takes = takes_poll,
    .auth = route_auth,
    .serve = serve,
};
