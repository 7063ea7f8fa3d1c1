#include "fcgi/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/http.h>

#include "base/counters.h"
#include "fcgi/outgoing.h"

enum {
	SCRATCH = 65536, /* bytes read at once */
	LINGER_BYTES = 65536,
};

enum connection_state {
	CONNECTION_READING,   /* no response is open */
	CONNECTION_RUNNING,   /* one is: sub is in use */
	CONNECTION_LINGERING, /* the rest is sent, and what comes is thrown away */
	CONNECTION_CLOSED     /* it is freed when the loop waits again */
};

struct connection {
	struct subscriber sub;
	struct server *srv;
	struct list node;
	struct fifo_node due;
	struct record_walk walk;
	struct record_request *request; /* NULL unless a part of a request has come */
	struct outgoing out;
	uint32_t lingered;    /* bytes thrown away */
	unsigned char state;  /* enum connection_state */
	unsigned char events; /* EPOLLIN and EPOLLOUT: what it waits for */
	bool is_polled;       /* the poller has it */
};

_Static_assert(sizeof(struct connection) <= 320, "ten thousand of them are idle at once");

static enum send_result on_send(struct subscriber *sub);
static void on_abort(struct subscriber *sub);

static const struct subscriber_ops ops = {.send = on_send, .abort = on_abort};

static struct connection *
connection_of(struct subscriber *sub)
{
	return LIST_ENTRY(sub, struct connection, sub);
}

static void
set_state(struct connection *conn, enum connection_state state)
{
	conn->state = (unsigned char)state;
	conn->out.is_open = state == CONNECTION_RUNNING;
}

static void
watch(struct connection *conn, unsigned events)
{
	if (conn->events == events || conn->state == CONNECTION_CLOSED)
		return;
	conn->events = (unsigned char)events;
	if (conn->is_polled)
		poller_change(&conn->srv->poller, conn->out.fd, conn->events, conn);
}

/*
 * Gives back the memory into which a request was read. The server keeps one such for the next
 * request.
 */
static void
drop_request(struct connection *conn)
{
	struct record_request *rq = conn->request;

	conn->request = NULL;
	if (rq == NULL)
		return;
	if (conn->srv->spare == NULL) {
		record_request_clear(rq);
		conn->srv->spare = rq;
		return;
	}
	record_request_fini(rq);
	free(rq);
}

static int
take_request(struct connection *conn)
{
	struct server *srv = conn->srv;

	if (conn->request != NULL)
		return 0;
	if (srv->spare == NULL) {
		if ((srv->spare = malloc(sizeof(*srv->spare))) == NULL)
			return -ENOMEM;
		record_request_init(srv->spare, &srv->limits);
	}
	conn->request = srv->spare;
	srv->spare = NULL;
	return 0;
}

void
connection_free_closed(struct server *srv)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &srv->closed) {
		list_del(node);
		free(LIST_ENTRY(node, struct connection, node));
	}
}

static void
on_sweep(uv_prepare_t *sweep)
{
	connection_free_closed(LIST_ENTRY(sweep, struct server, sweep));
	uv_prepare_stop(sweep);
}

static void
close_now(struct connection *conn)
{
	struct server *srv = conn->srv;

	if (conn->state == CONNECTION_CLOSED)
		return;
	set_state(conn, CONNECTION_CLOSED);
	subscriber_close(&conn->sub);
	fifo_del(&conn->due);
	drop_request(conn);
	outgoing_fini(&conn->out);
	srv->n_connections--;
	counters_add(COUNTER_CONNECTIONS, -1);
	if (conn->is_polled)
		poller_forget(&srv->poller, conn->out.fd);
	close(conn->out.fd);
	/*
	 * It is freed only when the loop waits again, because the caller and the poller may still
	 * look at its state.
	 */
	list_move_tail(&srv->closed, &conn->node);
	uv_prepare_start(&srv->sweep, on_sweep);
}

void
connection_close_node(struct list *node)
{
	close_now(LIST_ENTRY(node, struct connection, node));
}

void
connection_close_idle(struct list *node)
{
	struct connection *conn = LIST_ENTRY(node, struct connection, node);

	/*
	 * If the walk has an id, the connection has served a request and is idle. Otherwise it may
	 * be about to get its first request, and must be kept.
	 */
	if (conn->state == CONNECTION_READING && conn->walk.id != FCGI_NULL_REQUEST_ID &&
	    conn->walk.phase == RECORD_IDLE && conn->walk.head_len == 0)
		close_now(conn);
}

/* Responses */

static void
begin_lingering(struct connection *conn)
{
	if (conn->state == CONNECTION_LINGERING)
		return; /* a peer that sends a little at a time gets no more time */
	set_state(conn, CONNECTION_LINGERING);
	drop_request(conn);
	fifo_add(&conn->srv->lingering, &conn->due);
}

/*
 * Ends the connection, on which no response is open any more. If there is unread input it is not
 * closed at once: the kernel would reset it, and what the peer has not read yet would be lost.
 */
static void
leave(struct connection *conn)
{
	enum outgoing_result result = outgoing_flush(&conn->out, &conn->sub);

	if (result == OUTGOING_FAILED ||
	    (result == OUTGOING_ALL && conn->walk.phase != RECORD_BROKEN)) {
		close_now(conn);
		return;
	}
	begin_lingering(conn);
	if (result == OUTGOING_ALL)
		shutdown(conn->out.fd, SHUT_WR);
	watch(conn, result == OUTGOING_ALL ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

/* The response has ended: closes the connection, or waits for the next request. */
static void
end_response(struct connection *conn)
{
	bool keep =
	    conn->walk.keep && conn->walk.phase == RECORD_WHOLE && !conn->srv->limits.is_leaving;

	subscriber_close(&conn->sub);
	fifo_del(&conn->due);
	if (!keep) {
		leave(conn);
		return;
	}
	set_state(conn, CONNECTION_READING);
	record_next(&conn->walk);
	subscriber_init(&conn->sub, &ops);
	if (conn->out.replies.len > 0)
		watch(conn, EPOLLIN | EPOLLOUT);
}

/* There is no other limit to how long a short answer may take. */
static void
on_blocked(struct connection *conn)
{
	watch(conn, EPOLLIN | EPOLLOUT);
	if (!subscriber_is_stream(&conn->sub) && conn->state == CONNECTION_RUNNING)
		fifo_add(&conn->srv->waiting, &conn->due);
}

/* Sends what the response has. This may close the connection. */
static enum send_result
send_response(struct connection *conn)
{
	switch (outgoing_flush(&conn->out, &conn->sub)) {
	case OUTGOING_BLOCKED:
		on_blocked(conn);
		return SEND_BLOCKED;
	case OUTGOING_ENDED:
		end_response(conn);
		return SEND_GONE;
	case OUTGOING_FAILED:
		close_now(conn);
		return SEND_GONE;
	default:
		watch(conn, EPOLLIN);
		return SEND_ALL;
	}
}

static enum send_result
on_send(struct subscriber *sub)
{
	return send_response(connection_of(sub));
}

static void
on_abort(struct subscriber *sub)
{
	close_now(connection_of(sub));
}

/* Requests */

static void
begin_response(struct connection *conn)
{
	fifo_del(&conn->due);
	set_state(conn, CONNECTION_RUNNING);
	conn->out.id = conn->walk.id;
	counters_add(COUNTER_REQUESTS, 1);
}

static void
refuse(struct connection *conn, int status)
{
	begin_response(conn);
	drop_request(conn);
	counters_refused(0, (unsigned)status);
	subscriber_answer_problem(&conn->sub, status);
	send_response(conn);
}

static void
hand_on(struct connection *conn)
{
	struct server *srv = conn->srv;
	struct params params;
	const char *body;
	size_t body_len;

	if (decode_request(srv->decoder, conn->request, &params, &body, &body_len) < 0) {
		logger_error("libfcgi could not decode a request");
		refuse(conn, HTTP_INTERNAL_ERROR);
		return;
	}
	begin_response(conn);
	record_request_clear(conn->request);
	srv->on_request(srv->ctx, &conn->sub, &params, body, body_len);
	decode_done(srv->decoder);
	if (conn->state == CONNECTION_RUNNING &&
	    (subscriber_has_bytes(&conn->sub) || subscriber_is_finished(&conn->sub)))
		send_response(conn);
}

/* Reading */

static void
on_fault(struct connection *conn)
{
	struct server *srv = conn->srv;

	counters_add(COUNTER_RECORDS_REFUSED, 1);
	if (logger_may(&srv->log_fault, uv_now(srv->loop), LOGGER_PERIOD_MS))
		logger_warn(
		    "closed a connection whose peer does not speak FastCGI as a web server does");
	close_now(conn);
}

/* The client has gone, but the web server may be there, and expects an end of the response. */
static void
on_client_gone(struct connection *conn)
{
	struct record_trailer trailer;

	subscriber_close(&conn->sub);
	fifo_del(&conn->due);
	record_trailer(&trailer, conn->walk.id);
	if (buf_put(&conn->out.replies, &trailer, sizeof(trailer)) < 0) {
		close_now(conn);
		return;
	}
	leave(conn);
}

static void
on_verdict(struct connection *conn, enum record_verdict verdict)
{
	switch (verdict) {
	case RECORD_REQUEST:
		hand_on(conn);
		break;
	case RECORD_REFUSE:
		refuse(conn, conn->walk.status);
		break;
	case RECORD_ABORT:
		on_client_gone(conn);
		break;
	case RECORD_END:
		leave(conn);
		break;
	case RECORD_FAULT:
		on_fault(conn);
		break;
	case RECORD_NO_MEMORY:
		logger_error("out of memory: a request is dropped");
		close_now(conn);
		break;
	case RECORD_MORE:
		break;
	}
}

/*
 * Sets the time by which more must have come. A connection that is kept open between requests may
 * wait for ever.
 */
static void
set_deadline(struct connection *conn, enum record_phase before)
{
	const struct record_walk *w = &conn->walk;
	bool has_none = list_is_empty(&conn->due.node);

	if (conn->state != CONNECTION_READING)
		return;
	if (w->phase == RECORD_STDIN && (before != RECORD_STDIN || has_none))
		fifo_add(&conn->srv->waiting, &conn->due);
	else if ((w->phase == RECORD_PARAMS || w->head_len > 0) && has_none)
		fifo_add(&conn->srv->reading, &conn->due);
}

/* Sends the replies of the walk at once if it can. */
static void
send_replies(struct connection *conn)
{
	enum outgoing_result result;

	if (conn->out.replies.len == 0 || conn->state >= CONNECTION_LINGERING)
		return;
	result = outgoing_flush(&conn->out, &conn->sub);
	if (result == OUTGOING_ENDED)
		end_response(conn);
	else if (result == OUTGOING_FAILED)
		close_now(conn);
	else if (result == OUTGOING_BLOCKED)
		watch(conn, EPOLLIN | EPOLLOUT);
}

static void
walk(struct connection *conn, struct record_bytes in)
{
	enum record_phase before = conn->walk.phase;
	enum record_verdict verdict;

	while (in.len > 0 && conn->state <= CONNECTION_RUNNING &&
	       conn->walk.phase != RECORD_BROKEN) {
		if (take_request(conn) < 0) {
			on_verdict(conn, RECORD_NO_MEMORY);
			return;
		}
		verdict = record_walk(&conn->walk, conn->request, &conn->srv->limits, &in,
				      &conn->out.replies);
		on_verdict(conn, verdict);
	}
	if (conn->state == CONNECTION_CLOSED)
		return;
	if (conn->request != NULL && record_request_is_empty(conn->request))
		drop_request(conn);
	set_deadline(conn, before);
	send_replies(conn);
}

static void
on_bytes_while_lingering(struct connection *conn, size_t len)
{
	conn->lingered += (uint32_t)len;
	if (conn->lingered > LINGER_BYTES)
		close_now(conn);
}

static void
on_eof(struct connection *conn)
{
	if (conn->state == CONNECTION_RUNNING) {
		conn->walk.phase = RECORD_WHOLE; /* nothing is left unread */
		on_client_gone(conn);
	}
	close_now(conn);
}

static void
read_more(struct connection *conn)
{
	static char scratch[SCRATCH];
	ssize_t n;

	do
		n = recv(conn->out.fd, scratch, sizeof(scratch), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		close_now(conn);
	else if (n == 0)
		on_eof(conn);
	else if (conn->state == CONNECTION_LINGERING)
		on_bytes_while_lingering(conn, (size_t)n);
	else
		walk(conn, (struct record_bytes){scratch, (size_t)n});
}

/*
 * The hub sends streams at the turn's end; everything else is sent here.
 */
static void
on_writable(struct connection *conn)
{
	switch ((enum connection_state)conn->state) {
	case CONNECTION_RUNNING:
		watch(conn, EPOLLIN);
		subscriber_unblocked(&conn->sub);
		break;
	case CONNECTION_LINGERING:
		leave(conn);
		break;
	case CONNECTION_READING:
		watch(conn, EPOLLIN);
		send_replies(conn);
		break;
	case CONNECTION_CLOSED:
		break;
	}
}

void
connection_on_ready(void *what, unsigned events)
{
	struct connection *conn = what;

	if (conn->state == CONNECTION_CLOSED)
		return;
	if (events & EPOLLERR) {
		close_now(conn);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP))
		read_more(conn);
	if ((events & EPOLLOUT) && conn->state != CONNECTION_CLOSED)
		on_writable(conn);
}

void
connection_on_reading_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	close_now(LIST_ENTRY(node, struct connection, due));
}

void
connection_on_waiting_due(struct fifo *fifo, struct fifo_node *node)
{
	struct connection *conn = LIST_ENTRY(node, struct connection, due);

	(void)fifo;
	if (conn->state != CONNECTION_READING) {
		close_now(conn);
		return;
	}
	/* Otherwise the rest of the body would be read as a request. */
	conn->walk.phase = RECORD_BROKEN;
	refuse(conn, HTTP_REQUEST_TIMEOUT);
}

size_t
connection_shed(struct fifo_node *node)
{
	struct connection *conn = LIST_ENTRY(node, struct connection, due);
	size_t unsent = subscriber_n_unsent(&conn->sub);

	if (conn->state != CONNECTION_RUNNING)
		return 0;
	close_now(conn);
	return unsent;
}

void
connection_on_lingering_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	close_now(LIST_ENTRY(node, struct connection, due));
}

/* From now on the poller says when there is something to read or room to write. */
static void
begin_polling(struct connection *conn)
{
	unsigned events = conn->events != 0 ? conn->events : EPOLLIN;
	struct server *srv = conn->srv;
	int rc;

	if ((rc = poller_add(&srv->poller, conn->out.fd, events, conn)) < 0) {
		if (logger_may(&srv->log_accept, uv_now(srv->loop), 1000))
			logger_error("cannot wait for what a connection sends, with %zu open: %s",
				     srv->n_connections, strerror(-rc));
		close_now(conn);
		return;
	}
	conn->events = (unsigned char)events;
	conn->is_polled = true;
}

void
connection_new(struct server *srv, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));

	if (conn == NULL) {
		logger_error("out of memory: a connection is closed");
		close(fd);
		return;
	}
	conn->srv = srv;
	outgoing_init(&conn->out, fd);
	subscriber_init(&conn->sub, &ops);
	record_walk_init(&conn->walk);
	fifo_node_init(&conn->due);
	list_add_tail(&srv->connections, &conn->node);
	srv->n_connections++;
	counters_add(COUNTER_CONNECTIONS, 1);
	fifo_add(&srv->reading, &conn->due);
	read_more(conn); /* most web servers have written the request by now */
	if (conn->state != CONNECTION_CLOSED)
		begin_polling(conn);
}
