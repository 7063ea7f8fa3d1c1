#include <errno.h>
#include <stdlib.h>

#include "base/logger.h"
#include "hub/wait.h"
#include "logic/json_text.h"
#include "route/cors.h"
#include "route/problem.h"
#include "route/serving.h"

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
	site_send(site, sub, true);
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
	struct waiting *wg;
	struct feed *fd;
	uint64_t ms;
	int rc;

	if (site_read_key(site, sub, key) != 0 || read_timeout(site, sub, &ms) != 0)
		return;
	if (req->method == METHOD_HEAD) {
		site_begin_head(site, "Status: 200 OK\r\nContent-Type: application/json\r\n"
				      "Cache-Control: no-store\r\n");
		site_send_empty(site, sub);
		return;
	}
	req->is_opening = true;
	if ((rc = feed_get(&fd, &req->route->feeds, key, req)) != 0) {
		site_refuse_open(site, sub, rc);
		return;
	}
	if ((wg = calloc(1, sizeof(*wg))) == NULL) {
		site_refuse_open(site, sub, -ENOMEM);
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
			site_refuse(site, sub, HTTP_BAD_REQUEST, "The parameter after is no ID.");
		else
			site_refuse_open(site, sub, rc);
		return;
	}
	sub->holder = &wg->sub;
}
