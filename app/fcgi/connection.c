#include "fcgi/connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/counters.h"

enum {
	SCRATCH = 65536,      /* bytes read at once */
	REPLIES_MAX = 262144, /* a peer that asks this much without reading is cut */
	FILL_MAX = 4096,
	N_PIECES = 60, /* of a record's content, in one sendmsg */
	LINGER_BYTES = 65536
};

enum connection_state {
	CONNECTION_READING,   /* no response is open */
	CONNECTION_RUNNING,   /* one is: sub is in use */
	CONNECTION_LINGERING, /* what is left is sent, what comes is thrown away */
	CONNECTION_CLOSED     /* libuv still holds the handle */
};

/*
 * A record whose header promised a length is sent to its end, whatever becomes of the bytes
 * that it was to carry.
 */
struct outgoing {
	FCGI_Header head;
	uint32_t content_left;
	unsigned char head_left;
	unsigned char padding_left;
};

struct connection {
	struct subscriber sub;
	struct server *srv;
	uv_poll_t poll;
	struct list node;
	struct fifo_node due;
	struct record_walk walk;
	struct record_request *request; /* NULL unless a part of one has come */
	struct buf replies;             /* go out between two records of the response */
	struct outgoing out;
	int fd;
	uint32_t lingered;    /* bytes thrown away */
	unsigned char state;  /* enum connection_state */
	unsigned char events; /* that poll waits for */
};

_Static_assert(sizeof(struct connection) <= 560, "ten thousand of them are idle at once");

enum flush_result { FLUSH_ALL, FLUSH_BLOCKED, FLUSH_ENDED, FLUSH_FAILED };

static enum send_result on_send(struct subscriber *sub);
static void on_abort(struct subscriber *sub);
static void on_poll(uv_poll_t *poll, int status, int events);

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
}

static void
watch(struct connection *conn, int events)
{
	if (conn->events == events || conn->state == CONNECTION_CLOSED)
		return;
	conn->events = (unsigned char)events;
	uv_poll_start(&conn->poll, events, on_poll);
}

/* Give back what a request was read into. The server keeps one, with its heap, for the next. */
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

static void
on_closed(uv_handle_t *handle)
{
	struct connection *conn = LIST_ENTRY(handle, struct connection, poll);
	struct server *srv = conn->srv;

	free(conn);
	server_unref(srv);
}

static void
close_now(struct connection *conn)
{
	if (conn->state == CONNECTION_CLOSED)
		return;
	set_state(conn, CONNECTION_CLOSED);
	subscriber_close(&conn->sub);
	fifo_del(&conn->due);
	list_del(&conn->node);
	drop_request(conn);
	buf_fini(&conn->replies);
	conn->srv->n_connections--;
	counters_add(COUNTER_CONNECTIONS, -1);
	uv_close((uv_handle_t *)&conn->poll, on_closed);
	close(conn->fd);
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
	 * A connection whose walk has an id has served a request, and is idle. One without may be
	 * about to get its first request, and must be kept.
	 */
	if (conn->state == CONNECTION_READING && conn->walk.id != FCGI_NULL_REQUEST_ID &&
	    conn->walk.phase == RECORD_IDLE && conn->walk.head_len == 0)
		close_now(conn);
}

/* Sending */

static bool
is_mid_record(const struct connection *conn)
{
	return conn->out.head_left > 0 || conn->out.content_left > 0 || conn->out.padding_left > 0;
}

static void
begin_record(struct outgoing *out, uint16_t id, size_t content_len)
{
	record_head(&out->head, FCGI_STDOUT, id, content_len);
	out->head_left = FCGI_HEADER_LEN;
	out->content_left = (uint32_t)content_len;
	out->padding_left = out->head.paddingLength;
}

/* One sendmsg in the making, and what each of its parts weighs. */
struct parcel {
	struct iovec iov[N_PIECES + 6];
	int n_iov;
	size_t total;
	size_t replies, content, filler; /* bytes of them in it */
	bool is_cut;                     /* more content waits than there are pieces for */
	bool has_trailer;
	struct record_trailer trailer;
};

static void
add(struct parcel *pc, void *p, size_t len)
{
	if (len == 0)
		return;
	pc->iov[pc->n_iov].iov_base = p;
	pc->iov[pc->n_iov++].iov_len = len;
	pc->total += len;
}

static void
add_content(struct connection *conn, struct parcel *pc, size_t max)
{
	int n = N_PIECES;

	/* The header goes before the pieces: one place is left for it. */
	pc->content = subscriber_gather(&conn->sub, pc->iov + pc->n_iov + 1, &n, max);
	if (!is_mid_record(conn)) {
		if (pc->content == 0)
			return;
		begin_record(&conn->out, conn->walk.id, pc->content);
	}
	pc->iov[pc->n_iov].iov_base =
	    (char *)&conn->out.head + FCGI_HEADER_LEN - conn->out.head_left;
	pc->iov[pc->n_iov].iov_len = conn->out.head_left;
	pc->n_iov += 1 + n;
	pc->is_cut = n == N_PIECES;
	pc->total += conn->out.head_left + pc->content;
}

/*
 * A slow client may have been moved forward in its log in the middle of a record. What the
 * record still owes is sent as bytes that say nothing in the response.
 */
static void
add_filler(struct connection *conn, struct parcel *pc)
{
	static char fill[FILL_MAX];
	size_t owed = conn->out.content_left - pc->content, len, i;
	const char *filler;

	if (owed == 0 || pc->is_cut)
		return;
	filler = subscriber_filler(&conn->sub);
	len = strlen(filler);
	pc->filler = owed < FILL_MAX ? owed : FILL_MAX;
	for (i = 0; i < pc->filler; i++)
		fill[i] = filler[i % len];
	add(pc, fill, pc->filler);
}

/*
 * Replies to management records go between records, never into one, and before the next is begun. A
 * record that was begun must be ended at the length that its header has announced, whatever becomes
 * of the subscriber meanwhile: what is missing then is filled with bytes that say nothing.
 */
static void
compose(struct connection *conn, struct parcel *pc)
{
	static char padding[8];
	bool is_new = !is_mid_record(conn);

	pc->n_iov = 0;
	pc->total = pc->replies = pc->content = pc->filler = 0;
	pc->has_trailer = pc->is_cut = false;
	if (is_new && conn->replies.len > 0) { /* alone: a record is begun only to be sent */
		pc->replies = conn->replies.len;
		add(pc, conn->replies.p, conn->replies.len);
		return;
	}
	if (conn->state != CONNECTION_RUNNING && is_new)
		return;
	add_content(conn, pc, is_new ? RECORD_CONTENT_MAX : conn->out.content_left);
	add_filler(conn, pc);
	if (pc->content + pc->filler < conn->out.content_left)
		return;
	add(pc, padding, conn->out.padding_left);
	if (conn->state == CONNECTION_RUNNING && conn->replies.len == 0 &&
	    subscriber_is_over_after(&conn->sub, pc->content)) {
		record_trailer(&pc->trailer, conn->walk.id);
		add(pc, &pc->trailer, sizeof(pc->trailer));
		pc->has_trailer = true;
	}
}

static size_t
take_up_to(size_t *sent, size_t max)
{
	size_t n = *sent < max ? *sent : max;

	*sent -= n;
	return n;
}

/*
 * Of filler that is cut within its line the end belongs to what is sent next, which may be an
 * event, in this record or in another.
 */
static int
end_filler(struct connection *conn, size_t len)
{
	const char *filler = subscriber_filler(&conn->sub);

	if (len % strlen(filler) == 0 || conn->state != CONNECTION_RUNNING)
		return 0;
	return subscriber_end_filler(&conn->sub);
}

/*
 * The first sent bytes of the parcel are gone. Of the trailer, what is left becomes a reply, for
 * with its first byte the response has ended. Returns 0 or -ENOMEM.
 */
static int
account(struct connection *conn, const struct parcel *pc, size_t sent)
{
	struct outgoing *out = &conn->out;
	size_t content, filler;

	buf_consume(&conn->replies, take_up_to(&sent, pc->replies));
	out->head_left = (unsigned char)(out->head_left - take_up_to(&sent, out->head_left));
	content = take_up_to(&sent, pc->content);
	if (content > 0)
		subscriber_sent(&conn->sub, content);
	filler = take_up_to(&sent, pc->filler);
	out->content_left -= (uint32_t)(content + filler);
	if (out->content_left == 0)
		out->padding_left =
		    (unsigned char)(out->padding_left - take_up_to(&sent, out->padding_left));
	if (!pc->has_trailer || is_mid_record(conn))
		return end_filler(conn, filler);
	return buf_put(&conn->replies, (const char *)&pc->trailer + sent,
		       sizeof(pc->trailer) - sent);
}

/*
 * Send until nothing waits or the socket takes no more. Content and its trailer leave in one
 * sendmsg, so a short answer is a single call.
 */
static enum flush_result
flush(struct connection *conn)
{
	struct parcel pc;
	struct msghdr msg = {.msg_iov = pc.iov};
	ssize_t n;

	for (;;) {
		compose(conn, &pc);
		if (pc.total == 0)
			return FLUSH_ALL;
		msg.msg_iovlen = (size_t)pc.n_iov;
		n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? FLUSH_BLOCKED : FLUSH_FAILED;
		if (account(conn, &pc, (size_t)n) < 0)
			return FLUSH_FAILED;
		if (pc.has_trailer && !is_mid_record(conn))
			return FLUSH_ENDED;
	}
}

static void
begin_lingering(struct connection *conn)
{
	if (conn->state == CONNECTION_LINGERING)
		return; /* what trickles does not win time */
	set_state(conn, CONNECTION_LINGERING);
	drop_request(conn);
	fifo_add(&conn->srv->lingering, &conn->due);
}

/*
 * No response is open any more. A connection with unread input is not closed at once: that would
 * make the kernel tear it down, and what the peer has not read yet would be lost.
 */
static void
leave(struct connection *conn)
{
	enum flush_result result = flush(conn);

	if (result == FLUSH_FAILED || (result == FLUSH_ALL && conn->walk.phase != RECORD_BROKEN)) {
		close_now(conn);
		return;
	}
	begin_lingering(conn);
	if (result == FLUSH_ALL)
		shutdown(conn->fd, SHUT_WR);
	watch(conn, result == FLUSH_ALL ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

/* The response has ended: close, or await the next request. */
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
	if (conn->replies.len > 0)
		watch(conn, UV_READABLE | UV_WRITABLE);
}

/* Short answers have no other limit to how long they may be read. */
static void
on_blocked(struct connection *conn)
{
	watch(conn, UV_READABLE | UV_WRITABLE);
	if (!subscriber_is_stream(&conn->sub) && conn->state == CONNECTION_RUNNING)
		fifo_add(&conn->srv->waiting, &conn->due);
}

/* Send what the response has. The connection may be closed by it. */
static enum send_result
send_response(struct connection *conn)
{
	switch (flush(conn)) {
	case FLUSH_BLOCKED:
		on_blocked(conn);
		return SEND_BLOCKED;
	case FLUSH_ENDED:
		end_response(conn);
		return SEND_GONE;
	case FLUSH_FAILED:
		close_now(conn);
		return SEND_GONE;
	default:
		watch(conn, UV_READABLE);
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
		refuse(conn, 500);
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
	if (logger_may(&srv->log_fault, uv_now(srv->loop), 60000))
		logger_warn(
		    "closed a connection whose peer does not speak FastCGI as a web server does");
	close_now(conn);
}

/* The client has gone, the web server may not: it wants to read an end. */
static void
on_client_gone(struct connection *conn)
{
	struct record_trailer trailer;

	subscriber_close(&conn->sub);
	fifo_del(&conn->due);
	record_trailer(&trailer, conn->walk.id);
	if (buf_put(&conn->replies, &trailer, sizeof(trailer)) < 0) {
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

/* When must more have come? A connection that is kept open between requests may wait for ever. */
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

/* Replies of the walk's go out at once if they can. */
static void
send_replies(struct connection *conn)
{
	enum flush_result result;

	if (conn->replies.len == 0 || conn->state >= CONNECTION_LINGERING)
		return;
	result = flush(conn);
	if (result == FLUSH_ENDED)
		end_response(conn);
	else if (result == FLUSH_FAILED)
		close_now(conn);
	else if (result == FLUSH_BLOCKED)
		watch(conn, UV_READABLE | UV_WRITABLE);
}

static void
walk(struct connection *conn, const char *p, size_t len)
{
	enum record_phase before = conn->walk.phase;
	enum record_verdict verdict;
	size_t used;

	while (len > 0 && conn->state <= CONNECTION_RUNNING && conn->walk.phase != RECORD_BROKEN) {
		if (take_request(conn) < 0) {
			on_verdict(conn, RECORD_NO_MEMORY);
			return;
		}
		verdict = record_walk(&conn->walk, conn->request, &conn->srv->limits, p, len, &used,
				      &conn->replies);
		p += used;
		len -= used;
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
		n = recv(conn->fd, scratch, sizeof(scratch), MSG_DONTWAIT);
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
		walk(conn, scratch, (size_t)n);
}

/*
 * A stream is sent by the hub at the turn's end; what else waits is sent here.
 */
static void
on_writable(struct connection *conn)
{
	switch ((enum connection_state)conn->state) {
	case CONNECTION_RUNNING:
		watch(conn, UV_READABLE);
		subscriber_unblocked(&conn->sub);
		break;
	case CONNECTION_LINGERING:
		leave(conn);
		break;
	case CONNECTION_READING:
		watch(conn, UV_READABLE);
		send_replies(conn);
		break;
	case CONNECTION_CLOSED:
		break;
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct connection *conn = LIST_ENTRY(poll, struct connection, poll);

	if (status < 0) {
		close_now(conn);
		return;
	}
	if (events & UV_READABLE)
		read_more(conn);
	if ((events & UV_WRITABLE) && conn->state != CONNECTION_CLOSED)
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
	conn->walk.phase = RECORD_BROKEN; /* the rest of the body would be taken for a request */
	refuse(conn, 408);
}

void
connection_on_lingering_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	close_now(LIST_ENTRY(node, struct connection, due));
}

void
connection_new(struct server *srv, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));

	if (conn == NULL || uv_poll_init(srv->loop, &conn->poll, fd) < 0) {
		logger_error("out of memory: a connection is closed");
		free(conn);
		close(fd);
		return;
	}
	conn->srv = srv;
	conn->fd = fd;
	subscriber_init(&conn->sub, &ops);
	record_walk_init(&conn->walk);
	buf_init(&conn->replies, REPLIES_MAX);
	fifo_node_init(&conn->due);
	list_add_tail(&srv->connections, &conn->node);
	srv->n_connections++;
	srv->n_refs++;
	counters_add(COUNTER_CONNECTIONS, 1);
	fifo_add(&srv->reading, &conn->due);
	read_more(conn); /* most web servers have written by now */
	if (conn->events == 0)
		watch(conn, UV_READABLE);
}
