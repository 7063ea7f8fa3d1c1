#include "redis/link.h"

#include <assert.h>
#include <errno.h>
#include <hiredis.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/counters.h"
#include "base/list.h"
#include "base/logger.h"
#include "redis/greeting.h"

enum {
	PAUSE_MIN_MS = 100,
	PAUSE_MAX_MS = 5000,
	READS_A_TURN = 16, /* of 16 KiB each, so that other descriptors have their turn */
	READ_SIZE = 16384, /* what redisBufferRead() asks for */
	ADDRESSES_MAX = 8,
	COMPLAIN_MS = 60000,
};

/*
 * A link that is up is looked after by ticks, not by the clock: a process that was stopped for a
 * minute finds one tick gone, and then what Redis sent meanwhile.
 */
enum {
	TICK_MS = 500,
	QUIET_TICKS = 4,   /* heard nothing for so long: on_quiet */
	DEAD_TICKS = 14,   /* and for so long: the link is broken, whatever TCP believes */
	STEADY_TICKS = 10, /* up for so long, the next trouble begins with the shortest pause */
};

/* Of one reply. A false Redis may announce and send anything. */
enum {
	REPLY_MAX = 64 * 1024 * 1024, /* bytes */
	ELEMENTS_MAX = 1024 * 1024,   /* of all its arrays */
	LINE_MAX_LEN = 64 * 1024,     /* hiredis looks for its end from the beginning each time */
	HEAD_MAX_LEN = 32,            /* "9223372036854775807\r\n" */
};

enum link_state {
	LINK_PAUSING,   /* until the timer fires */
	LINK_RESOLVING, /* the host's name */
	LINK_CONNECTING,
	LINK_GREETING, /* AUTH, SELECT, CLIENT SETNAME */
	LINK_UP,
	LINK_FREED /* by its owner; libuv still holds on to it */
};

/* Lives until libuv has let go, which may be after its link has. */
struct lookup {
	uv_getaddrinfo_t req;
	struct link *link; /* NULL: nobody waits any more */
};

/* What was last said of one URL: the same is said once a minute, another reason at once. */
struct complaint {
	struct logger_pause pause;
	char why[80];
};

struct link {
	uv_loop_t *loop;
	const char *name;
	const struct redis_settings *rs;
	const struct link_ops *ops;
	void *ctx;
	enum link_state state;
	size_t url;      /* the one in use, or to be tried next */
	size_t n_failed; /* URLs that failed since one was up */
	unsigned pause_ms;
	unsigned n_ticks, n_silent; /* since it is up, and since something was heard */
	struct lookup *lookup;
	char addresses[ADDRESSES_MAX][64];
	size_t n_addresses, address;
	redisContext *rc;
	uv_poll_t *poll; /* NULL: no connection */
	bool wants_write;
	struct greeting greeting;
	uv_timer_t timer;
	size_t n_bytes, n_elements;    /* of the reply that is not whole yet */
	struct complaint complaints[]; /* one for each URL, since a link was up */
};

static unsigned haste = 1;

void
link_hasten(unsigned times)
{
	haste = times;
}

static void connect_next(struct link *ln);
static void on_poll(uv_poll_t *poll, int status, int events);

static const struct redis_url *
url_of(const struct link *ln)
{
	return &ln->rs->urls[ln->url];
}

/* Where, for a log line: without the password. */
static const char *
place(const struct link *ln, char *out, size_t len)
{
	const struct redis_url *url = url_of(ln);

	if (url->path != NULL)
		snprintf(out, len, "%s", url->path);
	else
		snprintf(out, len, "%s:%d", url->host, url->port);
	return out;
}

static void
on_poll_closed(uv_handle_t *poll)
{
	free(poll);
}

/* The poll handle first: libuv must not watch a descriptor that is closed. */
static void
drop_connection(struct link *ln)
{
	if (ln->lookup != NULL) {
		uv_cancel((uv_req_t *)&ln->lookup->req);
		ln->lookup->link = NULL;
		ln->lookup = NULL;
	}
	if (ln->poll != NULL) {
		uv_close((uv_handle_t *)ln->poll, on_poll_closed);
		ln->poll = NULL;
	}
	if (ln->rc != NULL) {
		redisFree(ln->rc);
		ln->rc = NULL;
	}
	ln->wants_write = false;
}

/* +-50 %, so that the workers of many machines do not return at the same instant. */
static unsigned
jitter(const struct link *ln, unsigned ms)
{
	uint64_t x = uv_hrtime() ^ (uintptr_t)ln;

	x *= 0x9E3779B97F4A7C15;
	return ms / 2 + (unsigned)((x >> 32) % (ms + 1));
}

static void
on_pause_over(uv_timer_t *timer)
{
	connect_next(timer->data);
}

/*
 * The next URL is tried soon; only after all have failed the pause grows. A link
 * that was up but shortly, too, must not come back in a storm.
 */
static void
begin_pause(struct link *ln)
{
	unsigned ms = PAUSE_MIN_MS;

	ln->state = LINK_PAUSING;
	ln->n_failed++;
	ln->url = (ln->url + 1) % ln->rs->n_urls;
	if (ln->n_failed % ln->rs->n_urls == 0) {
		ms = ln->pause_ms;
		ln->pause_ms = ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : ms * 2;
	}
	ms = jitter(ln, ms);
	if (ms < PAUSE_MIN_MS)
		ms = PAUSE_MIN_MS;
	uv_timer_start(&ln->timer, on_pause_over, ms / haste, 0);
}

static void
forget_complaints(struct link *ln)
{
	memset(ln->complaints, 0, ln->rs->n_urls * sizeof(ln->complaints[0]));
}

static void
complain(struct link *ln, const char *why)
{
	struct complaint *c = &ln->complaints[ln->url];
	char where[256];

	if (strncmp(c->why, why, sizeof(c->why) - 1) != 0)
		c->pause = (struct logger_pause){0};
	if (!logger_may(&c->pause, uv_now(ln->loop), COMPLAIN_MS))
		return;
	snprintf(c->why, sizeof(c->why), "%.*s", (int)sizeof(c->why) - 1, why);
	logger_warn("Redis (%s, %s): %s", ln->name, place(ln, where, sizeof(where)), why);
}

static void
fail(struct link *ln, const char *reason)
{
	bool was_up = ln->state == LINK_UP;
	char why[256];

	if (ln->state == LINK_PAUSING || ln->state == LINK_FREED)
		return;
	snprintf(why, sizeof(why), "%s", reason); /* which may lie in what is dropped */
	complain(ln, why);
	drop_connection(ln);
	if (was_up && ln->n_ticks >= STEADY_TICKS) {
		ln->pause_ms = PAUSE_MIN_MS;
		ln->n_failed = 0;
		/* The same URL first: a Redis that was restarted is back in a moment. */
		ln->url = (ln->url + ln->rs->n_urls - 1) % ln->rs->n_urls;
	}
	begin_pause(ln);
	if (was_up) {
		counters_add(COUNTER_REDIS_UP, -1);
		counters_add(COUNTER_REDIS_LOST, 1);
		ln->ops->on_down(ln->ctx, why);
	}
}

void
link_fail(struct link *ln, const char *why)
{
	fail(ln, why);
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
	counters_add(COUNTER_REDIS_UP, 1);
	logger_info("Redis (%s, %s): connected", ln->name, place(ln, where, sizeof(where)));
	forget_complaints(ln);
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

/* What hiredis left in its buffer ends in a string that is not whole, or in a line without end. */
static bool
is_endless_line(const redisReader *reader)
{
	return reader->len - reader->pos > LINE_MAX_LEN &&
	       memmem(reader->buf + reader->pos, HEAD_MAX_LEN, "\r\n", 2) == NULL;
}

/*
 * Each reply may end the link, or free it: rc is gone then, and not looked into, for another one
 * only comes from a timer. ln itself stays until libuv has closed its handles.
 */
static void
take_replies(struct link *ln)
{
	redisContext *rc = ln->rc;
	void *reply;

	while (ln->rc == rc) {
		if (redisReaderGetReply(rc->reader, &reply) != REDIS_OK) {
			fail(ln, ln->n_elements > ELEMENTS_MAX
				     ? "it sends a reply of more than 1 Mi elements"
				     : "what it sent is no Redis protocol");
			return;
		}
		if (reply == NULL)
			break;
		ln->n_bytes = ln->n_elements = 0;
		take_reply(ln, reply);
		freeReplyObject(reply);
	}
	if (ln->rc == rc && ln->n_bytes > REPLY_MAX)
		fail(ln, "it sends a reply of more than 64 MiB");
	else if (ln->rc == rc && is_endless_line(rc->reader))
		fail(ln, "it sends a line without end");
}

static void
on_readable(struct link *ln)
{
	redisContext *rc = ln->rc;
	int i;

	for (i = 0; i < READS_A_TURN && ln->rc == rc; i++) {
		size_t before = rc->reader->len, n;

		if (redisBufferRead(rc) != REDIS_OK) {
			fail(ln, rc->errstr);
			break;
		}
		n = rc->reader->len - before;
		ln->n_silent = 0;
		ln->n_bytes += n;
		if (n < READ_SIZE)
			i = READS_A_TURN; /* a short read: there is no more */
		take_replies(ln);
	}
}

static void
watch_descriptor(struct link *ln)
{
	int events = UV_READABLE | (ln->wants_write ? UV_WRITABLE : 0);

	uv_poll_start(ln->poll, events, on_poll);
}

static void
on_writable(struct link *ln)
{
	int done = 0;

	if (redisBufferWrite(ln->rc, &done) != REDIS_OK) {
		fail(ln, ln->rc->errstr);
	} else if (done) {
		ln->wants_write = false;
		watch_descriptor(ln);
	}
}

int
link_send(struct link *ln, int argc, const char *const *argv, const size_t *lens)
{
	if (ln->state != LINK_UP)
		return -ENOTCONN;
	if (redisAppendCommandArgv(ln->rc, argc, (const char **)argv, lens) != REDIS_OK)
		return -ENOMEM;
	if (!ln->wants_write) {
		ln->wants_write = true;
		watch_descriptor(ln);
	}
	return 0;
}

static void
greet(struct link *ln)
{
	const char *why;

	ln->state = LINK_GREETING;
	if (greeting_send(&ln->greeting, ln->rc, ln->rs, url_of(ln), &why) < 0) {
		fail(ln, why);
		return;
	}
	ln->wants_write = true;
	watch_descriptor(ln);
}

static void connect_address(struct link *ln);

/* The descriptor became writable: connected, or refused. */
static void
on_connected(struct link *ln)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(ln->rc->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (err == 0) {
		greet(ln);
	} else if (ln->address + 1 < ln->n_addresses) {
		ln->address++;
		drop_connection(ln);
		connect_address(ln);
	} else {
		fail(ln, strerror(err));
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct link *ln = poll->data;

	if (status < 0 && ln->state != LINK_CONNECTING) {
		fail(ln, uv_strerror(status));
		return;
	}
	if (ln->state == LINK_CONNECTING) {
		on_connected(ln);
		return;
	}
	if ((events & UV_WRITABLE) != 0)
		on_writable(ln);
	if (ln->poll == poll && (events & UV_READABLE) != 0)
		on_readable(ln);
}

static void
on_connect_timeout(uv_timer_t *timer)
{
	fail(timer->data, "no connection within connect_timeout");
}

#if HIREDIS_MAJOR >= 1
#define N_ELEMENTS size_t
#else
#define N_ELEMENTS int
#endif
static void *(*create_array)(const redisReadTask *task, N_ELEMENTS n);

/* hiredis would make an array of any length that is announced. */
static void *
create_bounded_array(const redisReadTask *task, N_ELEMENTS n)
{
	struct link *ln = task->privdata;

	ln->n_elements += (size_t)n;
	return ln->n_elements > ELEMENTS_MAX ? NULL : create_array(task, n);
}

static void
bound_replies(struct link *ln)
{
	static redisReplyObjectFunctions bounded;

	if (create_array == NULL) {
		bounded = *ln->rc->reader->fn;
		create_array = bounded.createArray;
		bounded.createArray = create_bounded_array;
	}
	ln->rc->reader->fn = &bounded;
	ln->rc->reader->privdata = ln;
	ln->n_bytes = ln->n_elements = 0;
}

static int
start_poll(struct link *ln)
{
	uv_poll_t *poll = malloc(sizeof(*poll));
	int ret;

	if (poll == NULL)
		return -ENOMEM;
	if ((ret = uv_poll_init(ln->loop, poll, ln->rc->fd)) < 0) {
		free(poll);
		return ret;
	}
	poll->data = ln;
	ln->poll = poll;
	return uv_poll_start(poll, UV_WRITABLE, on_poll);
}

/* rc is new and connecting; the link owns it from here on. */
static void
watch_connection(struct link *ln, redisContext *rc)
{
	int ret;

	ln->rc = rc;
	if (rc == NULL || rc->err != 0) {
		fail(ln, rc == NULL ? "out of memory" : rc->errstr);
		return;
	}
	bound_replies(ln);
	if ((ret = start_poll(ln)) < 0) {
		fail(ln, uv_strerror(ret));
		return;
	}
	ln->state = LINK_CONNECTING;
}

static void
connect_address(struct link *ln)
{
	watch_connection(ln, redisConnectNonBlock(ln->addresses[ln->address], url_of(ln)->port));
}

static void
keep_addresses(struct link *ln, const struct addrinfo *ai)
{
	ln->n_addresses = ln->address = 0;
	for (; ai != NULL && ln->n_addresses < ADDRESSES_MAX; ai = ai->ai_next) {
		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, ln->addresses[ln->n_addresses],
				sizeof(ln->addresses[0]), NULL, 0, NI_NUMERICHOST) == 0)
			ln->n_addresses++;
	}
}

static void
on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *ai)
{
	struct lookup *lookup = LIST_ENTRY(req, struct lookup, req);
	struct link *ln = lookup->link;

	free(lookup);
	if (ln != NULL) {
		ln->lookup = NULL;
		keep_addresses(ln, ai);
		if (status < 0)
			fail(ln, uv_strerror(status));
		else if (ln->n_addresses == 0)
			fail(ln, "the name has no address");
		else
			connect_address(ln);
	}
	uv_freeaddrinfo(ai);
}

static void
resolve(struct link *ln)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	int rc;

	ln->state = LINK_RESOLVING;
	if ((ln->lookup = calloc(1, sizeof(*ln->lookup))) == NULL) {
		fail(ln, "out of memory");
		return;
	}
	ln->lookup->link = ln;
	rc =
	    uv_getaddrinfo(ln->loop, &ln->lookup->req, on_resolved, url_of(ln)->host, NULL, &hints);
	if (rc < 0) {
		free(ln->lookup);
		ln->lookup = NULL;
		fail(ln, uv_strerror(rc));
	}
}

static void
connect_next(struct link *ln)
{
	/* It begins here, so that fail() takes whatever goes wrong for a failed try. */
	ln->state = LINK_CONNECTING;
	ln->n_addresses = 0;
	uv_timer_start(&ln->timer, on_connect_timeout, ln->rs->connect_timeout_ms, 0);
	if (url_of(ln)->path != NULL)
		watch_connection(ln, redisConnectUnixNonBlock(url_of(ln)->path));
	else
		resolve(ln);
}

int
link_new(struct link **out, uv_loop_t *loop, const char *name, const struct redis_settings *rs,
	 const struct link_ops *ops, void *ctx)
{
	struct link *ln = calloc(1, sizeof(*ln) + rs->n_urls * sizeof(ln->complaints[0]));
	int rc;

	if (ln == NULL)
		return -ENOMEM;
	ln->loop = loop;
	ln->name = name;
	ln->rs = rs;
	ln->ops = ops;
	ln->ctx = ctx;
	ln->pause_ms = PAUSE_MIN_MS;
	if ((rc = uv_timer_init(loop, &ln->timer)) < 0) {
		free(ln);
		return rc;
	}
	ln->timer.data = ln;
	/* From the loop, so that no callback comes before the caller has its link. */
	uv_timer_start(&ln->timer, on_pause_over, 0, 0);
	*out = ln;
	return 0;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
link_free(struct link *ln)
{
	if (ln == NULL)
		return;
	if (ln->state == LINK_UP)
		counters_add(COUNTER_REDIS_UP, -1);
	drop_connection(ln);
	ln->state = LINK_FREED;
	uv_close((uv_handle_t *)&ln->timer, on_timer_closed);
}
