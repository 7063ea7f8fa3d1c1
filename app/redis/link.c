#include "redis/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/list.h"
#include "base/logger.h"
#include "base/random.h"
#include "redis/complaints.h"
#include "redis/greeting.h"
#include "redis/socket.h"

enum {
	PAUSE_MIN_MS = 100,
	HURRY_MS = 20, /* after a sign of life all links come back, but not at the same moment */
	PAUSE_MAX_MS = 2000, /* with its jitter and the time to connect, less than five seconds */
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

enum link_state {
	LINK_PAUSING, /* until the timer fires */
	LINK_CONNECTING,
	LINK_GREETING, /* AUTH, SELECT, CLIENT SETNAME, ROLE */
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
	struct redis_socket socket;
	struct greeting greeting;
	uv_timer_t timer;
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
	redis_socket_close(&ln->socket);
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
	ln->n_silent = ln->socket.has_heard ? 1 : ln->n_silent + 1;
	ln->socket.has_heard = false;
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
on_socket_reply(void *ctx, const struct redisReply *reply)
{
	struct link *ln = ctx;
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

int
link_send(struct link *ln, struct resp_words words)
{
	if (ln->state != LINK_UP)
		return -ENOTCONN;
	if (resp_put_command(&ln->socket.out, words) < 0)
		return -ENOMEM;
	redis_socket_send(&ln->socket);
	return 0;
}

int
link_send_bytes(struct link *ln, const char *bytes, size_t len)
{
	if (ln->state != LINK_UP)
		return -ENOTCONN;
	if (buf_put(&ln->socket.out, bytes, len) < 0)
		return -ENOMEM;
	redis_socket_send(&ln->socket);
	return 0;
}

const struct redis_url *
link_url(const struct link *ln)
{
	return ln->url;
}

static void
on_socket_open(void *ctx)
{
	struct link *ln = ctx;
	const char *why;

	ln->state = LINK_GREETING;
	if (greeting_send(&ln->greeting, &ln->socket.out, topology_settings(ln->topology), ln->url,
			  &why) < 0) {
		fail(ln, why);
		return;
	}
	redis_socket_send(&ln->socket);
}

static void
on_socket_fail(void *ctx, const char *why)
{
	fail(ctx, why);
}

static const struct redis_socket_ops socket_ops = {
    .on_open = on_socket_open,
    .on_reply = on_socket_reply,
    .on_fail = on_socket_fail,
};

static void
on_connect_timeout(uv_timer_t *timer)
{
	struct link *ln = timer->data;

	fail(ln, redis_socket_give_up(&ln->socket));
}

static void
connect_next(struct link *ln)
{
	struct tls *tls = NULL;
	char why[256];

	/* The state is set here, so that fail() counts all that goes wrong as a failed try. */
	ln->state = LINK_CONNECTING;
	if ((ln->url = topology_choose(ln->topology, &ln->member)) == NULL) {
		begin_pause(ln);
		return;
	}
	if (ln->url->is_tls && (tls = topology_tls(ln->topology, why, sizeof(why))) == NULL) {
		fail(ln, why);
		return;
	}
	uv_timer_start(&ln->timer, on_connect_timeout,
		       topology_settings(ln->topology)->connect_timeout_ms, 0);
	redis_socket_open(&ln->socket, ln->url, tls);
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
	if ((rc = uv_timer_init(loop, &ln->timer)) < 0) {
		free(ln);
		return rc;
	}
	redis_socket_init(&ln->socket, loop, &socket_ops, ln);
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

	redis_socket_fini(&ln->socket);
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
	redis_socket_close(&ln->socket);
	ln->state = LINK_FREED;
	uv_close((uv_handle_t *)&ln->timer, on_timer_closed);
}
