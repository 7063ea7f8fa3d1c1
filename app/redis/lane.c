#include "redis/lane.h"

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/closing.h"
#include "base/list.h"
#include "redis/greeting.h"

enum {
	PENDING_MAX = 100000,
	TICK_MS = 250,
	ROLE_MS = 2000, /* how often the server is asked if it is still a primary */
};

struct unanswered {
	struct list node;
	command_fn fn;
	void *arg;
	uint64_t sent_ms;
};

struct lane {
	uv_loop_t *loop;
	struct link *link;
	struct list pending; /* in the order of sending, which is the order of the replies */
	size_t n_pending;
	unsigned timeout_ms;
	uv_timer_t timer, role;
	struct closing closing; /* of the timers */
	const struct lane_ops *ops;
	void *ctx;
};

static struct unanswered *
oldest(const struct lane *ln)
{
	return LIST_ENTRY(ln->pending.next, struct unanswered, node);
}

static void
answer_oldest(struct lane *ln, const redisReply *reply)
{
	struct unanswered *p = oldest(ln);
	command_fn fn = p->fn;
	void *arg = p->arg;

	list_del(&p->node);
	ln->n_pending--;
	free(p);
	if (fn != NULL)
		fn(arg, reply);
}

static void
on_tick(uv_timer_t *timer)
{
	struct lane *ln = timer->data;

	if (list_is_empty(&ln->pending))
		uv_timer_stop(timer);
	else if (uv_now(ln->loop) - oldest(ln)->sent_ms >= ln->timeout_ms)
		link_fail(ln->link, "a command has no answer");
}

static void
on_up(void *ctx)
{
	struct lane *ln = ctx;

	ln->ops->on_up(ln->ctx);
}

/*
 * Answers only commands that were sent on the broken connection, because a callback may send new
 * ones.
 */
static void
on_down(void *ctx, const char *why)
{
	struct lane *ln = ctx;
	size_t n = ln->n_pending;

	(void)why;
	ln->ops->on_down(ln->ctx);
	while (n-- > 0 && !list_is_empty(&ln->pending))
		answer_oldest(ln, NULL); /* this may free ln: then all have been answered */
}

/* A primary that becomes a replica closes no connection, but refuses commands that write. */
static bool
says_readonly(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "READONLY ", 9) == 0;
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct lane *ln = ctx;

	if (says_readonly(reply))
		link_leave_server(ln->link, "it is a replica by now");
	if (list_is_empty(&ln->pending))
		link_fail(ln->link, "it answered what nobody asked");
	else
		answer_oldest(ln, reply);
}

static void
on_role(void *arg, const redisReply *reply)
{
	struct lane *ln = arg;

	if (reply != NULL && ln->link != NULL && role_is_replica(reply))
		link_leave_server(ln->link, "it is a replica by now");
}

static void
ask_role(uv_timer_t *timer)
{
	lane_send(timer->data, on_role, timer->data, RESP_WORDS("ROLE"));
}

static void
on_quiet(void *ctx)
{
	lane_send(ctx, NULL, NULL, RESP_WORDS("PING"));
}

static const struct link_ops ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

int
lane_new(struct lane **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms,
	 const struct lane_ops *lane_ops, void *ctx)
{
	struct lane *ln = calloc(1, sizeof(*ln));
	int rc;

	if (ln == NULL)
		return -ENOMEM;
	ln->loop = loop;
	ln->timeout_ms = timeout_ms;
	ln->ops = lane_ops;
	ln->ctx = ctx;
	list_init(&ln->pending);
	if ((rc = link_new(&ln->link, loop, "commands", tp, &ops, ln)) < 0) {
		free(ln);
		return rc;
	}
	uv_timer_init(loop, &ln->timer);
	uv_timer_init(loop, &ln->role);
	ln->timer.data = ln->role.data = ln;
	uv_timer_start(&ln->role, ask_role, ROLE_MS, ROLE_MS);
	*out = ln;
	return 0;
}

static void
on_timers_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct lane, closing));
}

void
lane_free(struct lane *ln)
{
	if (ln == NULL)
		return;
	link_free(ln->link);
	ln->link = NULL;
	while (!list_is_empty(&ln->pending))
		answer_oldest(ln, NULL);
	closing_begin(&ln->closing, on_timers_closed);
	closing_add(&ln->closing, (uv_handle_t *)&ln->timer);
	closing_add(&ln->closing, (uv_handle_t *)&ln->role);
}

bool
lane_is_up(const struct lane *ln)
{
	return link_is_up(ln->link);
}

/* Adds the command to those that wait for a reply. */
static int
await(struct lane *ln, command_fn fn, void *arg)
{
	struct unanswered *p = malloc(sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->fn = fn;
	p->arg = arg;
	p->sent_ms = uv_now(ln->loop);
	list_add_tail(&ln->pending, &p->node);
	if (ln->n_pending++ == 0)
		uv_timer_start(&ln->timer, on_tick, TICK_MS, TICK_MS);
	return 0;
}

/* The command was not sent after all. */
static void
forget_latest(struct lane *ln)
{
	struct unanswered *p = LIST_ENTRY(ln->pending.prev, struct unanswered, node);

	list_del(&p->node);
	ln->n_pending--;
	free(p);
}

/*
 * This is done before the command is sent: if it failed afterwards, the reply would be taken for
 * that of another command.
 */
static int
prepare(struct lane *ln, command_fn fn, void *arg)
{
	if (ln->link == NULL || !link_is_up(ln->link))
		return -ENOTCONN; /* or lane_free() is answering those that were pending */
	if (ln->n_pending >= PENDING_MAX)
		return -EAGAIN;
	return await(ln, fn, arg);
}

int
lane_send(struct lane *ln, command_fn fn, void *arg, struct resp_words words)
{
	int rc = prepare(ln, fn, arg);

	if (rc == 0 && (rc = link_send(ln->link, words)) < 0)
		forget_latest(ln);
	return rc;
}

int
lane_send_bytes(struct lane *ln, command_fn fn, void *arg, const char *bytes, size_t len)
{
	int rc = prepare(ln, fn, arg);

	if (rc == 0 && (rc = link_send_bytes(ln->link, bytes, len)) < 0)
		forget_latest(ln);
	return rc;
}

bool
lane_is_idle(const struct lane *ln)
{
	return list_is_empty(&ln->pending);
}
