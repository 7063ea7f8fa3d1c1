#include "redis/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "redis/settings.h"

enum {
	READS_A_TURN = 16, /* of 16 KiB each, so that other descriptors have their turn */
	READ_SIZE = 16384,
	OUT_MAX = 256 * 1024 * 1024, /* commands that Redis has not taken */
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void connect_address(struct redis_socket *s);

void
redis_socket_init(struct redis_socket *s, uv_loop_t *loop, const struct redis_socket_ops *ops,
		  void *ctx)
{
	*s = (struct redis_socket){.loop = loop, .ops = ops, .ctx = ctx};
	transport_init(&s->transport);
	replies_init(&s->replies);
	buf_init(&s->out, OUT_MAX);
}

static void
on_poll_closed(uv_handle_t *poll)
{
	free(poll);
}

/* The poll handle is closed first, because libuv must not watch a descriptor that is closed. */
static void
drop_descriptor(struct redis_socket *s)
{
	if (s->poll != NULL) {
		uv_close((uv_handle_t *)s->poll, on_poll_closed);
		s->poll = NULL;
	}
	replies_end(&s->replies);
	transport_close(&s->transport);
	buf_fini(&s->out);
	s->watched = 0;
}

void
redis_socket_close(struct redis_socket *s)
{
	addresses_forget(&s->addresses);
	drop_descriptor(s);
	s->state = REDIS_SOCKET_CLOSED;
}

void
redis_socket_fini(struct redis_socket *s)
{
	redis_socket_close(s);
	replies_fini(&s->replies);
}

static void
fail(struct redis_socket *s, const char *why)
{
	s->ops->on_fail(s->ctx, why);
}

/* Bytes */

static void
take_reply(void *arg, const struct redisReply *reply)
{
	struct redis_socket *s = arg;

	s->ops->on_reply(s->ctx, reply);
}

/*
 * Returns how many bytes came; 0 if there are none at the moment, or the socket has failed. Each
 * reply may close the socket. It cannot be open anew by then, for its owner opens it from a timer.
 */
static size_t
read_some(struct redis_socket *s)
{
	char bytes[READ_SIZE];
	ssize_t n = transport_read(&s->transport, bytes, sizeof(bytes));
	const char *why;

	if (n == -EAGAIN)
		return 0;
	if (n < 0) {
		fail(s, s->transport.why);
		return 0;
	}
	s->has_heard = true;
	if ((why = replies_take(&s->replies, bytes, (size_t)n, take_reply, s)) != NULL)
		fail(s, why);
	return s->state == REDIS_SOCKET_OPEN ? (size_t)n : 0;
}

/*
 * What TLS has decoded already is always read, because the descriptor does not become readable for
 * it.
 */
static void
on_readable(struct redis_socket *s)
{
	bool has_more = true;

	for (int i = 0; has_more; i++) {
		size_t n = read_some(s);

		has_more = n > 0 && (transport_has_pending(&s->transport) ||
				     (n == READ_SIZE && i < READS_A_TURN));
	}
}

static void
watch_descriptor(struct redis_socket *s)
{
	bool wants_write = s->out.len > 0 || s->transport.wants_write;
	int events = UV_READABLE | (wants_write ? UV_WRITABLE : 0);

	if (events != s->watched)
		uv_poll_start(s->poll, events, on_poll);
	s->watched = events;
}

void
redis_socket_send(struct redis_socket *s)
{
	watch_descriptor(s);
}

static void
on_writable(struct redis_socket *s)
{
	ssize_t n = transport_write(&s->transport, s->out.p, s->out.len);

	if (n < 0 && n != -EAGAIN) {
		fail(s, s->transport.why);
		return;
	}
	if (n > 0)
		buf_consume(&s->out, (size_t)n);
	watch_descriptor(s);
}

/* Connecting */

/* If an address cannot be reached, the server may have another one. */
static void
try_next_address(struct redis_socket *s)
{
	if (s->state == REDIS_SOCKET_CONNECTING && ++s->n_tried < s->addresses.n) {
		s->address = (s->address + 1) % s->addresses.n;
		drop_descriptor(s);
		connect_address(s);
	} else {
		fail(s, s->transport.why);
	}
}

/* The descriptor is ready: it is connected, or refused, or TLS goes on. */
static void
on_connecting(struct redis_socket *s)
{
	int rc = transport_handshake(&s->transport);

	if (rc == 0) {
		s->state = REDIS_SOCKET_OPEN;
		s->ops->on_open(s->ctx);
	} else if (rc == -EAGAIN) {
		s->state = REDIS_SOCKET_HANDSHAKE;
		watch_descriptor(s);
	} else {
		try_next_address(s);
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct redis_socket *s = poll->data;

	if (s->state != REDIS_SOCKET_OPEN) {
		on_connecting(s);
		return;
	}
	if (status < 0) {
		fail(s, uv_strerror(status));
		return;
	}
	if ((events & UV_WRITABLE) != 0 && s->out.len > 0)
		on_writable(s);
	/* TLS may have to write in order to read. */
	if (s->poll == poll && ((events & UV_READABLE) != 0 || s->transport.wants_write))
		on_readable(s);
}

static int
start_poll(struct redis_socket *s)
{
	uv_poll_t *poll = malloc(sizeof(*poll));
	int ret;

	if (poll == NULL)
		return -ENOMEM;
	if ((ret = uv_poll_init(s->loop, poll, s->transport.fd)) < 0) {
		free(poll);
		return ret;
	}
	poll->data = s;
	s->poll = poll;
	s->watched = UV_WRITABLE;
	return uv_poll_start(poll, UV_WRITABLE, on_poll);
}

static void
connect_address(struct redis_socket *s)
{
	const struct address *to = &s->addresses.all[s->address];
	int rc;

	rc = transport_connect(&s->transport, (const struct sockaddr *)&to->at, to->len, s->tls,
			       s->url->host);
	if (rc < 0) {
		try_next_address(s);
		return;
	}
	buf_init(&s->out, OUT_MAX);
	if (replies_begin(&s->replies) < 0)
		fail(s, "out of memory");
	else if ((rc = start_poll(s)) < 0)
		fail(s, uv_strerror(rc));
}

/* The addresses of the server's name are known, or why there are none. */
static void
on_found(void *arg, const char *why)
{
	struct redis_socket *s = arg;

	if (why != NULL) {
		fail(s, why);
		return;
	}
	s->state = REDIS_SOCKET_CONNECTING;
	s->n_tried = 0;
	s->address = s->n_timeouts % s->addresses.n;
	connect_address(s);
}

void
redis_socket_open(struct redis_socket *s, const struct redis_url *url, struct tls *tls)
{
	s->url = url;
	s->tls = tls;
	s->has_heard = false;
	s->state = REDIS_SOCKET_RESOLVING;
	addresses_find(&s->addresses, s->loop, url, on_found, s);
}

const char *
redis_socket_give_up(struct redis_socket *s)
{
	s->n_timeouts++;
	return s->state == REDIS_SOCKET_HANDSHAKE
		   ? "no TLS handshake within connect_timeout: does it speak TLS there?"
		   : "no connection within connect_timeout";
}
