#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/wait.h"
#include "base/json_text.h"
#include "route/origin.h"
#include "route/serving.h"

/* A client that waits for one event. */
struct waiting {
	struct waiter waiter;
	struct later later;
	struct grant *grant; /* NULL: nothing is counted */
};

/* Its place is another's as soon as its client has gone. */
static void
on_left(struct subscriber_holder *holder)
{
	struct waiting *wg = LIST_ENTRY(holder, struct waiting, later.holder);

	grants_give_back(wg->grant);
	wg->grant = NULL;
	wait_cancel(&wg->waiter);
}

static void
on_wait_closed(struct waiter *w)
{
	struct waiting *wg = LIST_ENTRY(w, struct waiting, waiter);

	grants_give_back(wg->grant);
	later_fini(&wg->later);
	free(wg);
}

/* What is not JSON is given as a JSON string; the id is for the next "?after=". */
static void
answer_event(struct later *later, const struct event *ev)
{
	const char *data = ev->data != NULL ? ev->data : "";
	struct answer *out = &later->site->out;

	later_begin(later, HTTP_OK, "application/json");
	if (ev->id != NULL && ev->id_len <= EVENT_ID_MAX)
		answer_field(out, "Last-Event-ID", "%.*s", (int)ev->id_len, ev->id);
	if (json_text_check(data, ev->data_len, NULL))
		answer_put(out, data, ev->data_len);
	else
		answer_check(out, json_put_string(&out->body, data, ev->data_len));
	if (out->is_broken)
		later_refuse(later, HTTP_UNAVAILABLE, "This server has no room for it.");
	else
		later_send(later);
}

static void
on_waited(struct waiter *w, const struct event *ev)
{
	struct waiting *wg = LIST_ENTRY(w, struct waiting, waiter);

	if (ev == NULL)
		later_refuse(&wg->later, HTTP_GATEWAY_TIMEOUT, "No message came in time.");
	else
		answer_event(&wg->later, ev);
}

/* Among the route's and the server's streams. Returns 0; or something else having refused, or
 * having put it off. */
static int
take_grant(struct site *site, struct subscriber *sub, struct grant **grant)
{
	char address[ORIGIN_ADDRESS_MAX];
	const char *why = "";
	int rc;

	origin_address(address, &site->request, site->trusted_proxies);
	rc = grants_take(grant, site->grants, &site->request, address, &why);
	if (rc == -EAGAIN && authorising_wait_for_place(site, sub))
		return rc;
	if (rc > 0 || rc == -EAGAIN)
		site_refuse(site, sub, HTTP_TOO_MANY_REQUESTS, why);
	else if (rc < 0)
		site_refuse_open(site, sub, rc);
	return rc;
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
		site_refuse(site, sub, HTTP_BAD_REQUEST,
			    "The parameter timeout must be milliseconds.");
		return HTTP_BAD_REQUEST;
	}
	*ms = n < fs->timeout_max_ms ? n : fs->timeout_max_ms;
	return 0;
}

void
waiting_serve(struct site *site, struct subscriber *sub)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	struct request *req = &site->request;
	struct grant *grant;
	struct waiting *wg;
	struct feed *fd;
	uint64_t ms;
	int rc;

	if (site_read_key(site, sub, key) != 0 || read_timeout(site, sub, &ms) != 0)
		return;
	if (req->method == METHOD_HEAD) {
		site_begin(site, HTTP_OK, NULL);
		answer_field(&site->out, "Content-Type", "application/json");
		site_send(site, sub);
		return;
	}
	if (take_grant(site, sub, &grant) != 0)
		return;
	req->is_opening = true;
	if ((rc = feed_get(&fd, &req->route->feeds, &wire_event_stream, key, req)) != 0) {
		grants_give_back(grant);
		site_refuse_open(site, sub, rc);
		return;
	}
	if ((wg = calloc(1, sizeof(*wg))) == NULL) {
		grants_give_back(grant);
		site_refuse_open(site, sub, -ENOMEM);
		return;
	}
	wg->grant = grant;
	if ((rc = later_init(&wg->later, site)) < 0 ||
	    (rc = wait_begin(&wg->waiter, fd, ms, request_raw_param(req, "after"), on_waited,
			     on_wait_closed)) != 0) {
		on_wait_closed(&wg->waiter);
		if (rc == -EINVAL)
			site_refuse(site, sub, HTTP_BAD_REQUEST, "The parameter after is no ID.");
		else
			site_refuse_open(site, sub, rc);
		return;
	}
	later_expect(&wg->later, sub);
	wg->later.holder.left = on_left;
}
