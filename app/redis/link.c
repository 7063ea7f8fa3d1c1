#include "redis/link.h"

#include <assert.h>
#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/logger.h"
#include "base/random.h"
#include "redis/addresses.h"
#include "redis/complaints.h"
#include "redis/greeting.h"
#include "redis/reply_memory.h"
#include "redis/transport.h"

enum {
	PAUSE_MIN_MS = 100,
	HURRY_MS = 20, /* after a sign of life all links come back, but not at the same moment */
	PAUSE_MAX_MS = 2000, /* with its jitter and the time to connect, less than five seconds */
	READS_A_TURN = 16,   /* of 16 KiB each, so that other descriptors have their turn */
	READ_SIZE = 16384,
	FEED_SIZE = 2048, /* hiredis moves everything that it was given and has not parsed, again
			     and again */
	OUT_MAX = 256 * 1024 * 1024, /* commands that Redis has not taken */
};

/*
 * A link that is up is checked by ticks and not by the clock: if the process was stopped for a
 * minute, it finds one tick passed, and then what Redis sent meanwhile.
 */
enum {
	TICK_MS = 500,
	QUIET_TICKS = 4, /* after this many ticks without a byte: on_quiet */
	DEAD_TICKS = 14, /* after this many, the link is broken, whatever TCP says */
	/* if it was up for this long, the next trouble begins with the shortest pause */
	STEADY_TICKS = 10,
};

/* Limits of one reply. A false Redis may announce and send anything. */
enum {
	REPLY_MAX = 64 * 1024 * 1024, /* bytes */
	LINE_MAX_LEN = 64 * 1024, /* hiredis searches for its end from the beginning each time */
	HEAD_MAX_LEN = 32,        /* "9223372036854775807\r\n" */
};

enum link_state {
	LINK_PAUSING,   /* until the timer fires */
	LINK_RESOLVING, /* the host's name */
	LINK_CONNECTING,
	LINK_HANDSHAKE, /* of TLS */
	LINK_GREETING,  /* AUTH, SELECT, CLIENT SETNAME, ROLE */
	LINK_UP,
	LINK_FREED /* its owner has freed it, but libuv still needs it */
};

struct link {
	uv_loop_t *loop;
	const char *name;
	struct topology *topology;
	struct topology_member member;
	const struct redis_url *url; /* the server that it is connected to, or tried last */
	const struct link_ops *ops;
	void *ctx;
	enum link_state state;
	unsigned n_failed; /* how many servers failed since one was up */
	unsigned pause_ms;
	unsigned n_ticks, n_silent; /* ticks since it is up, and since something arrived */
	struct addresses addresses;
	size_t address;      /* of them, which is tried */
	unsigned n_tried;    /* of them, before this one */
	unsigned n_timeouts; /* each makes another address the first that is tried */
	struct transport transport;
	redisReader *reader; /* NULL: no connection */
	struct buf out;      /* commands that were not written yet */
	uv_poll_t *poll;     /* NULL: no connection */
	int watched;         /* events of libuv */
	struct greeting greeting;
	uv_timer_t timer;
	size_t n_bytes; /* of the reply that is not whole yet */
	struct reply_memory memory;
	struct complaints complaints; /* since a link was up */
	char leave_why[96];
};

#define LINK_OF(m) LIST_ENTRY(m, struct link, member)

static unsigned haste = 1;

void
link_hasten(unsigned times)
{
	haste = times;
}

static void connect_next(struct link *ln);
static void on_poll(uv_poll_t *poll, int status, int events);

static void
on_poll_closed(uv_handle_t *poll)
{
	free(poll);
}

/* The poll handle is closed first, because libuv must not watch a descriptor that is closed. */
static void
drop_connection(struct link *ln)
{
	addresses_forget(&ln->addresses);
	if (ln->poll != NULL) {
		uv_close((uv_handle_t *)ln->poll, on_poll_closed);
		ln->poll = NULL;
	}
	if (ln->reader != NULL) {
		redisReaderFree(ln->reader);
		ln->reader = NULL;
	}
	transport_close(&ln->transport);
	buf_fini(&ln->out);
	ln->watched = 0;
}

/* +-50 %, so that the workers of many machines do not return at the same instant. */
static unsigned
jitter(unsigned ms)
{
	return ms / 2 + random_below(ms + 1);
}

static void
on_pause_over(uv_timer_t *timer)
{
	connect_next(timer->data);
}

/*
 * The next server is tried soon; the pause grows only when all have failed. It also grows if links
 * are up only for a short time, so that they do not come back in a storm.
 */
static void
begin_pause(struct link *ln)
{
	unsigned ms = PAUSE_MIN_MS;

	ln->state = LINK_PAUSING;
	if (++ln->n_failed % topology_n_servers(ln->topology) == 0) {
		ms = ln->pause_ms;
		ln->pause_ms = ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : ms * 2;
	}
	ms = jitter(ms);
	if (ms < PAUSE_MIN_MS)
		ms = PAUSE_MIN_MS;
	uv_timer_start(&ln->timer, on_pause_over, ms / haste, 0);
}

static void
complain(struct link *ln, const char *why)
{
	char where[256];

	if (complaints_may(&ln->complaints, ln->member.server, why, uv_now(ln->loop)))
		logger_warn("Redis (%s, %s): %s", ln->name,
			    redis_url_print(ln->url, where, sizeof(where)), why);
}

static bool
is_sentinel(const struct link *ln)
{
	return topology_settings(ln->topology)->is_of_sentinels;
}

static void
count_up(const struct link *ln, int n)
{
	counters_add(is_sentinel(ln) ? COUNTER_SENTINELS_UP : COUNTER_REDIS_UP, n);
}

static void
fail(struct link *ln, const char *reason)
{
	bool was_up = ln->state == LINK_UP;
	char why[256];

	if (ln->state == LINK_PAUSING || ln->state == LINK_FREED)
		return;
	/* The reason may stand in memory that is freed here. */
	snprintf(why, sizeof(why), "%s", reason);
	complain(ln, why);
	drop_connection(ln);
	if (was_up && ln->n_ticks >= STEADY_TICKS) {
		ln->pause_ms = PAUSE_MIN_MS;
		ln->n_failed = 0;
	}
	if (was_up)
		topology_down(ln->topology, &ln->member);
	else
		topology_failed(ln->topology, &ln->member);
	begin_pause(ln);
	if (was_up) {
		count_up(ln, -1);
		counters_add(COUNTER_REDIS_LOST, !is_sentinel(ln));
		ln->ops->on_down(ln->ctx, why);
	}
}

void
link_fail(struct link *ln, const char *why)
{
	fail(ln, why);
}

static void
on_leave(uv_timer_t *timer)
{
	struct link *ln = timer->data;

	fail(ln, ln->leave_why);
}

static void
leave(struct topology_member *m, const char *why)
{
	struct link *ln = LINK_OF(m);

	snprintf(ln->leave_why, sizeof(ln->leave_why), "%s", why);
	uv_timer_start(&ln->timer, on_leave, 0, 0);
}

static void
hurry(struct topology_member *m)
{
	struct link *ln = LINK_OF(m);

	if (ln->state == LINK_PAUSING)
		uv_timer_start(&ln->timer, on_pause_over, jitter(HURRY_MS) / haste, 0);
}

void
link_leave_server(struct link *ln, const char *why)
{
	if (ln->state == LINK_UP)
		topology_leave(ln->topology, &ln->member, why);
}

bool
link_is_up(const struct link *ln)
{
	return ln->state == LINK_UP;
}

static void
on_tick(uv_timer_t *timer)
{
	struct link *ln = timer->data;

	ln->n_ticks++;
	ln->n_silent++;
	if (ln->n_silent >= DEAD_TICKS)
		fail(ln, "no answer");
	else if (ln->n_silent == QUIET_TICKS)
		ln->ops->on_quiet(ln->ctx);
}

static void
become_up(struct link *ln)
{
	char where[256];

	ln->state = LINK_UP;
	ln->n_ticks = ln->n_silent = 0;
	uv_timer_start(&ln->timer, on_tick, TICK_MS / haste, TICK_MS / haste);
	count_up(ln, 1);
	logger_info("Redis (%s, %s): connected", ln->name,
		    redis_url_print(ln->url, where, sizeof(where)));
	complaints_forget(&ln->complaints);
	topology_up(ln->topology, &ln->member);
	ln->ops->on_up(ln->ctx);
}

static void
take_reply(struct link *ln, const redisReply *reply)
{
	const char *why = NULL;

	if (ln->state == LINK_UP) {
		ln->ops->on_reply(ln->ctx, reply);
		return;
	}
	switch (greeting_reply(&ln->greeting, reply, &why)) {
	case GREETING_MORE:
		break;
	case GREETING_DONE:
		become_up(ln);
		break;
	case GREETING_REFUSED:
		fail(ln, why);
		break;
	}
}

/*
 * The rest in hiredis's buffer is a string that is not complete, or a line without an end. Is it
 * such a line?
 */
static bool
is_endless_line(const redisReader *reader)
{
	return reader->len - reader->pos > LINE_MAX_LEN &&
	       memmem(reader->buf + reader->pos, HEAD_MAX_LEN, "\r\n", 2) == NULL;
}

/*
 * Each reply may end the link, or free it. Then the reader is gone and must not be used; a new one
 * is made only by a timer. ln itself stays until libuv has closed its handles.
 */
static void
take_replies(struct link *ln)
{
	redisReader *reader = ln->reader;
	void *reply;

	while (ln->reader == reader) {
		if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
			fail(ln, reply_memory_has_too_many(&ln->memory)
				     ? "it sends a reply of more than 1 Mi elements"
				     : "what it sent is no Redis protocol");
			return;
		}
		if (reply == NULL)
			break;
		ln->n_bytes = 0;
		take_reply(ln, reply);
		reply_memory_empty(&ln->memory);
	}
	if (ln->reader == reader && ln->n_bytes > REPLY_MAX)
		fail(ln, "it sends a reply of more than 64 MiB");
	else if (ln->reader == reader && is_endless_line(reader))
		fail(ln, "it sends a line without end");
}

static void
take_bytes(struct link *ln, const char *bytes, size_t len)
{
	redisReader *reader = ln->reader;
	size_t at, n;

	for (at = 0; at < len && ln->reader == reader; at += n) {
		n = len - at < FEED_SIZE ? len - at : FEED_SIZE;
		if (redisReaderFeed(reader, bytes + at, n) != REDIS_OK) {
			fail(ln, reader->errstr);
			return;
		}
		ln->n_bytes += n;
		take_replies(ln);
	}
}

/* Returns how many bytes came; 0 if there are none at the moment, or the link has failed. */
static size_t
read_some(struct link *ln)
{
	char bytes[READ_SIZE];
	ssize_t n = transport_read(&ln->transport, bytes, sizeof(bytes));

	if (n == -EAGAIN)
		return 0;
	if (n < 0) {
		fail(ln, ln->transport.why);
		return 0;
	}
	ln->n_silent = 0;
	take_bytes(ln, bytes, (size_t)n);
	return (size_t)n;
}

/*
 * What TLS has decoded already is always read, because the descriptor does not become readable for
 * it.
 */
static void
on_readable(struct link *ln)
{
	redisReader *reader = ln->reader;
	bool has_more = true;
	int i;

	for (i = 0; ln->reader == reader && has_more; i++) {
		size_t n = read_some(ln);

		if (n > 0 && ln->reader == reader)
			has_more = transport_has_pending(&ln->transport) ||
				   (n == READ_SIZE && i < READS_A_TURN);
		else
			has_more = false;
	}
}

static void
watch_descriptor(struct link *ln)
{
	bool wants_write = ln->out.len > 0 || ln->transport.wants_write;
	int events = UV_READABLE | (wants_write ? UV_WRITABLE : 0);

	if (events != ln->watched)
		uv_poll_start(ln->poll, events, on_poll);
	ln->watched = events;
}

static void
on_writable(struct link *ln)
{
	ssize_t n = transport_write(&ln->transport, ln->out.p, ln->out.len);

	if (n < 0 && n != -EAGAIN) {
		fail(ln, ln->transport.why);
		return;
	}
	if (n > 0)
		buf_consume(&ln->out, (size_t)n);
	watch_descriptor(ln);
}

int
link_send(struct link *ln, struct resp_words words)
{
	if (ln->state != LINK_UP)
		return -ENOTCONN;
	if (resp_put_command(&ln->out, words) < 0)
		return -ENOMEM;
	watch_descriptor(ln);
	return 0;
}

int
link_send_bytes(struct link *ln, const char *bytes, size_t len)
{
	if (ln->state != LINK_UP)
		return -ENOTCONN;
	if (buf_put(&ln->out, bytes, len) < 0)
		return -ENOMEM;
	watch_descriptor(ln);
	return 0;
}

const struct redis_url *
link_url(const struct link *ln)
{
	return ln->url;
}

static void
greet(struct link *ln)
{
	const char *why;

	ln->state = LINK_GREETING;
	if (greeting_send(&ln->greeting, &ln->out, topology_settings(ln->topology), ln->url, &why) <
	    0) {
		fail(ln, why);
		return;
	}
	watch_descriptor(ln);
}

static void connect_address(struct link *ln);

/* If an address cannot be reached, the server may have another one. */
static void
try_next_address(struct link *ln)
{
	if (ln->state == LINK_CONNECTING && ++ln->n_tried < ln->addresses.n) {
		ln->address = (ln->address + 1) % ln->addresses.n;
		drop_connection(ln);
		connect_address(ln);
	} else {
		fail(ln, ln->transport.why);
	}
}

/* The descriptor is ready: it is connected, or refused, or TLS goes on. */
static void
on_connecting(struct link *ln)
{
	int rc = transport_handshake(&ln->transport);

	if (rc == 0) {
		greet(ln);
	} else if (rc == -EAGAIN) {
		ln->state = LINK_HANDSHAKE;
		watch_descriptor(ln);
	} else {
		try_next_address(ln);
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct link *ln = poll->data;

	if (ln->state == LINK_CONNECTING || ln->state == LINK_HANDSHAKE) {
		on_connecting(ln);
		return;
	}
	if (status < 0) {
		fail(ln, uv_strerror(status));
		return;
	}
	if ((events & UV_WRITABLE) != 0 && ln->out.len > 0)
		on_writable(ln);
	/* TLS may have to write in order to read. */
	if (ln->poll == poll && ((events & UV_READABLE) != 0 || ln->transport.wants_write))
		on_readable(ln);
}

/* Next time another address is tried first: this one may be silent for long. */
static void
on_connect_timeout(uv_timer_t *timer)
{
	struct link *ln = timer->data;

	ln->n_timeouts++;
	fail(ln, ln->state == LINK_HANDSHAKE
		     ? "no TLS handshake within connect_timeout: does it speak TLS there?"
		     : "no connection within connect_timeout");
}

static int
start_poll(struct link *ln)
{
	uv_poll_t *poll = malloc(sizeof(*poll));
	int ret;

	if (poll == NULL)
		return -ENOMEM;
	if ((ret = uv_poll_init(ln->loop, poll, ln->transport.fd)) < 0) {
		free(poll);
		return ret;
	}
	poll->data = ln;
	ln->poll = poll;
	ln->watched = UV_WRITABLE;
	return uv_poll_start(poll, UV_WRITABLE, on_poll);
}

/* For a URL that asks for TLS. NULL: TLS cannot begin, and the link has failed. */
static struct tls *
find_tls(struct link *ln)
{
	char why[256];
	struct tls *tls = topology_tls(ln->topology, why, sizeof(why));

	if (tls == NULL)
		fail(ln, why);
	return tls;
}

static void
connect_address(struct link *ln)
{
	const struct address *to = &ln->addresses.all[ln->address];
	struct tls *tls = NULL;
	int rc;

	if (ln->url->is_tls && (tls = find_tls(ln)) == NULL)
		return;
	rc = transport_connect(&ln->transport, (const struct sockaddr *)&to->at, to->len, tls,
			       ln->url->host);
	if (rc < 0) {
		try_next_address(ln);
		return;
	}
	buf_init(&ln->out, OUT_MAX);
	if ((ln->reader = redisReaderCreate()) == NULL) {
		fail(ln, "out of memory");
		return;
	}
	reply_memory_serve(&ln->memory, ln->reader);
	ln->n_bytes = 0;
	if ((rc = start_poll(ln)) < 0)
		fail(ln, uv_strerror(rc));
}

static void
begin_connecting(struct link *ln)
{
	ln->state = LINK_CONNECTING;
	ln->n_tried = 0;
	ln->address = ln->n_timeouts % ln->addresses.n;
	connect_address(ln);
}

/* The addresses of the server's name are known, or why there are none. */
static void
on_found(void *arg, const char *why)
{
	struct link *ln = arg;

	if (why != NULL)
		fail(ln, why);
	else
		begin_connecting(ln);
}

static void
connect_next(struct link *ln)
{
	/*
	 * The state is set here, so that fail() counts everything that goes wrong as a failed try.
	 */
	ln->state = LINK_CONNECTING;
	reply_memory_empty(&ln->memory); /* from a reply that was not completed */
	if ((ln->url = topology_choose(ln->topology, &ln->member)) == NULL) {
		begin_pause(ln);
		return;
	}
	uv_timer_start(&ln->timer, on_connect_timeout,
		       topology_settings(ln->topology)->connect_timeout_ms, 0);
	ln->state = LINK_RESOLVING;
	addresses_find(&ln->addresses, ln->loop, ln->url, on_found, ln);
}

int
link_new(struct link **out, uv_loop_t *loop, const char *name, struct topology *tp,
	 const struct link_ops *ops, void *ctx)
{
	struct link *ln = calloc(1, sizeof(*ln));
	int rc;

	if (ln == NULL)
		return -ENOMEM;
	ln->loop = loop;
	ln->name = name;
	ln->topology = tp;
	ln->ops = ops;
	ln->ctx = ctx;
	ln->pause_ms = PAUSE_MIN_MS;
	ln->member.leave = leave;
	ln->member.hurry = hurry;
	transport_init(&ln->transport);
	reply_memory_init(&ln->memory);
	buf_init(&ln->out, OUT_MAX);
	if ((rc = uv_timer_init(loop, &ln->timer)) < 0) {
		free(ln);
		return rc;
	}
	topology_join(tp, &ln->member);
	ln->timer.data = ln;
	/* It begins from the loop, so that no callback is called before the caller has its link. */
	uv_timer_start(&ln->timer, on_pause_over, 0, 0);
	*out = ln;
	return 0;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	struct link *ln = timer->data;

	reply_memory_fini(&ln->memory);
	free(ln);
}

void
link_free(struct link *ln)
{
	if (ln == NULL)
		return;
	if (ln->state == LINK_UP)
		count_up(ln, -1);
	topology_part(ln->topology, &ln->member);
	drop_connection(ln);
	ln->state = LINK_FREED;
	uv_close((uv_handle_t *)&ln->timer, on_timer_closed);
}
