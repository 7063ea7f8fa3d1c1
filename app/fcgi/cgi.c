#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sluice/http.h>

#include "base/closing.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/logger.h"
#include "fcgi/listen.h"
#include "fcgi/pairs.h"
#include "fcgi/server.h"

enum { N_PIECES = 64 };

extern char **environ;

struct cgi {
	struct subscriber sub;
	uv_loop_t *loop;
	server_request_fn on_request;
	void *ctx;
	struct buf body;
	size_t body_len; /* CONTENT_LENGTH */
	uv_poll_t in, out;
	uv_timer_t timer; /* for the body, then for the whole lifetime */
	unsigned lifetime_ms;
	bool has_in, has_out; /* the handle is open: the descriptor can be polled */
	bool is_done;
	int old_flags; /* of descriptor 1, which others may share */
	struct closing closing;
};

static enum send_result on_send(struct subscriber *sub);
static void on_abort(struct subscriber *sub);
static void on_out(uv_poll_t *poll, int status, int events);

static const struct subscriber_ops ops = {.send = on_send, .abort = on_abort};

int
cgi_is_plain(void)
{
	const char *gateway = getenv("GATEWAY_INTERFACE");

	return gateway != NULL && strncmp(gateway, "CGI/", 4) == 0 &&
	       getenv("REQUEST_METHOD") != NULL && !listen_is_inherited();
}

static void
finish(struct cgi *cgi)
{
	if (cgi->is_done)
		return;
	cgi->is_done = true;
	subscriber_close(&cgi->sub);
	uv_stop(cgi->loop);
}

/*
 * If there is nothing to write, only the reader's end is of interest. The kernel reports that
 * unasked; UV_PRIORITIZED is an event that otherwise never comes. UV_DISCONNECT would be wrong:
 * where 0 and 1 are one socket, the end of the request's body would look like the reader's end.
 */
static void
watch_out(struct cgi *cgi, bool is_blocked)
{
	if (cgi->has_out)
		uv_poll_start(&cgi->out, is_blocked ? UV_WRITABLE : UV_PRIORITIZED, on_out);
}

static bool
is_reader_gone(void)
{
	struct pollfd pfd = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

static void
on_out(uv_poll_t *poll, int status, int events)
{
	struct cgi *cgi = LIST_ENTRY(poll, struct cgi, out);

	if (status < 0 || is_reader_gone()) {
		finish(cgi);
	} else if (events & UV_WRITABLE) {
		watch_out(cgi, false);
		subscriber_unblocked(&cgi->sub);
	}
}

static enum send_result
send_all(struct cgi *cgi)
{
	struct iovec iov[N_PIECES];
	ssize_t n;
	int n_iov;

	while (!subscriber_is_finished(&cgi->sub)) {
		n_iov = N_PIECES;
		if (subscriber_gather(&cgi->sub, iov, &n_iov, SIZE_MAX / 2) == 0)
			return SEND_ALL;
		n = writev(STDOUT_FILENO, iov, n_iov);
		if (n >= 0) {
			subscriber_sent(&cgi->sub, (size_t)n);
		} else if (errno == EAGAIN) {
			watch_out(cgi, true);
			return SEND_BLOCKED;
		} else if (errno != EINTR) {
			break;
		}
	}
	finish(cgi);
	return SEND_GONE;
}

static enum send_result
on_send(struct subscriber *sub)
{
	return send_all(LIST_ENTRY(sub, struct cgi, sub));
}

static void
on_abort(struct subscriber *sub)
{
	finish(LIST_ENTRY(sub, struct cgi, sub));
}

/* Ends a stream, and at once what is no stream. */
static void
on_lifetime(uv_timer_t *timer)
{
	struct cgi *cgi = LIST_ENTRY(timer, struct cgi, timer);

	if (!subscriber_is_stream(&cgi->sub))
		finish(cgi);
	else
		subscriber_end(&cgi->sub, END_LIFETIME);
}

static void
serve(struct cgi *cgi)
{
	struct params params = {.envp = environ};

	counters_add(COUNTER_REQUESTS, 1);
	uv_timer_start(&cgi->timer, on_lifetime, cgi->lifetime_ms, 0);
	watch_out(cgi, false);
	cgi->on_request(cgi->ctx, &cgi->sub, &params, cgi->body.len > 0 ? cgi->body.p : "",
			cgi->body.len);
	if (subscriber_has_bytes(&cgi->sub) || subscriber_is_finished(&cgi->sub))
		send_all(cgi);
}

static void
refuse(struct cgi *cgi, int status)
{
	counters_add(COUNTER_REQUESTS, 1);
	counters_refused(0, (unsigned)status);
	subscriber_answer_problem(&cgi->sub, status);
	uv_timer_start(&cgi->timer, on_lifetime, cgi->lifetime_ms, 0);
	send_all(cgi);
}

static void
end_body(struct cgi *cgi, int status)
{
	if (cgi->has_in)
		uv_poll_stop(&cgi->in);
	uv_timer_stop(&cgi->timer);
	if (status != 0)
		refuse(cgi, status);
	else
		serve(cgi);
}

/* Returns whether there may be more. */
static bool
read_body(struct cgi *cgi)
{
	size_t left = cgi->body_len - cgi->body.len;
	ssize_t n;

	if (buf_reserve(&cgi->body, left) < 0) {
		end_body(cgi, HTTP_INTERNAL_ERROR);
		return false;
	}
	n = read(STDIN_FILENO, cgi->body.p + cgi->body.len, left);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		end_body(cgi, HTTP_BAD_REQUEST);
		return false;
	}
	buf_grow(&cgi->body, (size_t)n);
	if (cgi->body.len < cgi->body_len)
		return true;
	end_body(cgi, 0);
	return false;
}

static void
on_in(uv_poll_t *poll, int status, int events)
{
	struct cgi *cgi = LIST_ENTRY(poll, struct cgi, in);

	(void)events;
	if (status < 0)
		end_body(cgi, HTTP_BAD_REQUEST);
	else
		read_body(cgi);
}

static void
on_body_late(uv_timer_t *timer)
{
	end_body(LIST_ENTRY(timer, struct cgi, timer), HTTP_REQUEST_TIMEOUT);
}

static void
begin_body(struct cgi *cgi, unsigned body_ms)
{
	if (cgi->body_len == 0) {
		serve(cgi);
		return;
	}
	cgi->has_in = uv_poll_init(cgi->loop, &cgi->in, STDIN_FILENO) == 0;
	if (!cgi->has_in) { /* it is a file, which never waits */
		while (read_body(cgi))
			;
		return;
	}
	uv_timer_start(&cgi->timer, on_body_late, body_ms, 0);
	uv_poll_start(&cgi->in, UV_READABLE, on_in);
}

/*
 * Checks the environment as a FastCGI request is checked: web servers put headers into it, and
 * those may name a variable twice. Returns 0, a status, or a negative errno.
 */
static int
check_environment(const struct server_limits *limits, size_t *body_len)
{
	struct buf pairs;
	const char *equals;
	char **var;
	int rc = 0;

	buf_init(&pairs, limits->params_max);
	for (var = environ; *var != NULL && rc == 0; var++) {
		if ((equals = strchr(*var, '=')) != NULL)
			rc = pairs_put(&pairs, *var, (size_t)(equals - *var), equals + 1,
				       strlen(equals + 1));
	}
	if (rc == -EMSGSIZE)
		rc = HTTP_HEAD_TOO_LARGE;
	else if (rc == 0)
		rc = pairs_check(pairs.p, pairs.len, limits->body_max, body_len);
	buf_fini(&pairs);
	return rc;
}

int
cgi_serve(struct cgi **out, uv_loop_t *loop, const struct server_limits *limits,
	  unsigned lifetime_ms, server_request_fn on_request, void *ctx)
{
	struct cgi *cgi = calloc(1, sizeof(*cgi));
	int rc;

	if (cgi == NULL)
		return -ENOMEM;
	if ((rc = check_environment(limits, &cgi->body_len)) < 0) {
		free(cgi);
		return rc;
	}
	cgi->loop = loop;
	cgi->on_request = on_request;
	cgi->ctx = ctx;
	cgi->lifetime_ms = lifetime_ms;
	subscriber_init(&cgi->sub, &ops);
	buf_init(&cgi->body, limits->body_max);
	uv_timer_init(loop, &cgi->timer);
	cgi->old_flags = fcntl(STDOUT_FILENO, F_GETFL);
	/* epoll refuses a file. It is written at once, and has no reader that could go. */
	cgi->has_out = uv_poll_init(loop, &cgi->out, STDOUT_FILENO) == 0;
	*out = cgi;
	if (rc > 0)
		refuse(cgi, rc);
	else
		begin_body(cgi, limits->body_ms);
	return 0;
}

static void
on_handles_closed(struct closing *closing)
{
	struct cgi *cgi = LIST_ENTRY(closing, struct cgi, closing);

	buf_fini(&cgi->body);
	free(cgi);
}

void
cgi_free(struct cgi *cgi)
{
	if (cgi == NULL)
		return;
	subscriber_close(&cgi->sub);
	closing_begin(&cgi->closing, on_handles_closed);
	closing_add(&cgi->closing, (uv_handle_t *)&cgi->timer);
	if (cgi->has_in)
		closing_add(&cgi->closing, (uv_handle_t *)&cgi->in);
	if (cgi->has_out)
		closing_add(&cgi->closing, (uv_handle_t *)&cgi->out);
	if (cgi->old_flags >= 0)
		fcntl(STDOUT_FILENO, F_SETFL, cgi->old_flags);
}
