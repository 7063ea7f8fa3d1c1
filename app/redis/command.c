#include "redis/command.h"

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
	ROLE_MS = 2000, /* so often the server is asked whether it is still a primary */
};

struct pending {
	struct list node;
	command_fn fn;
	void *arg;
	uint64_t sent_ms;
};

struct command {
	uv_loop_t *loop;
	struct link *link;
	struct list pending; /* in the order of sending, which is that of the replies */
	size_t n_pending;
	unsigned timeout_ms;
	uv_timer_t timer, role;
	struct closing closing; /* of the timers */
	void (*up)(void *arg);
	void *up_arg;
};

static struct pending *
oldest(const struct command *cmd)
{
	return LIST_ENTRY(cmd->pending.next, struct pending, node);
}

static void
answer_oldest(struct command *cmd, const redisReply *reply)
{
	struct pending *p = oldest(cmd);
	command_fn fn = p->fn;
	void *arg = p->arg;

	list_del(&p->node);
	cmd->n_pending--;
	free(p);
	if (fn != NULL)
		fn(arg, reply);
}

static void
on_tick(uv_timer_t *timer)
{
	struct command *cmd = timer->data;

	if (list_is_empty(&cmd->pending))
		uv_timer_stop(timer);
	else if (uv_now(cmd->loop) - oldest(cmd)->sent_ms >= cmd->timeout_ms)
		link_fail(cmd->link, "a command has no answer");
}

static void
on_up(void *ctx)
{
	struct command *cmd = ctx;

	if (cmd->up != NULL)
		cmd->up(cmd->up_arg);
}

/* Only those that were sent on the lost connection: what is answered may send anew. */
static void
on_down(void *ctx, const char *why)
{
	struct command *cmd = ctx;
	size_t n = cmd->n_pending;

	(void)why;
	while (n-- > 0 && !list_is_empty(&cmd->pending))
		answer_oldest(cmd, NULL); /* which may free cmd: then all were answered */
}

/* A primary that was made a replica breaks no connection, but refuses what is written. */
static bool
says_readonly(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "READONLY ", 9) == 0;
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct command *cmd = ctx;

	if (says_readonly(reply))
		link_leave_server(cmd->link, "it is a replica by now");
	if (list_is_empty(&cmd->pending))
		link_fail(cmd->link, "it answered what nobody asked");
	else
		answer_oldest(cmd, reply);
}

static void
on_role(void *arg, const redisReply *reply)
{
	struct command *cmd = arg;

	if (reply != NULL && cmd->link != NULL && role_is_replica(reply))
		link_leave_server(cmd->link, "it is a replica by now");
}

static void
ask_role(uv_timer_t *timer)
{
	static const char *const argv[] = {"ROLE"};

	command_send(timer->data, on_role, timer->data, 1, argv, NULL);
}

static void
on_quiet(void *ctx)
{
	static const char *const ping[] = {"PING"};

	command_send(ctx, NULL, NULL, 1, ping, NULL);
}

static const struct link_ops ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

int
command_new(struct command **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms)
{
	struct command *cmd = calloc(1, sizeof(*cmd));
	int rc;

	if (cmd == NULL)
		return -ENOMEM;
	cmd->loop = loop;
	cmd->timeout_ms = timeout_ms;
	list_init(&cmd->pending);
	if ((rc = link_new(&cmd->link, loop, "commands", tp, &ops, cmd)) < 0) {
		free(cmd);
		return rc;
	}
	uv_timer_init(loop, &cmd->timer);
	uv_timer_init(loop, &cmd->role);
	cmd->timer.data = cmd->role.data = cmd;
	uv_timer_start(&cmd->role, ask_role, ROLE_MS, ROLE_MS);
	*out = cmd;
	return 0;
}

static void
on_timers_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct command, closing));
}

void
command_free(struct command *cmd)
{
	if (cmd == NULL)
		return;
	link_free(cmd->link);
	cmd->link = NULL;
	while (!list_is_empty(&cmd->pending))
		answer_oldest(cmd, NULL);
	closing_begin(&cmd->closing, on_timers_closed);
	closing_add(&cmd->closing, (uv_handle_t *)&cmd->timer);
	closing_add(&cmd->closing, (uv_handle_t *)&cmd->role);
}

void
command_on_up(struct command *cmd, void (*fn)(void *arg), void *arg)
{
	cmd->up = fn;
	cmd->up_arg = arg;
}

bool
command_is_up(const struct command *cmd)
{
	return link_is_up(cmd->link);
}

int
command_send(struct command *cmd, command_fn fn, void *arg, int argc, const char *const *argv,
	     const size_t *lens)
{
	struct pending *p;
	int rc;

	if (cmd->link == NULL)
		return -ENOTCONN; /* command_free() is telling those that were pending */
	if (cmd->n_pending >= PENDING_MAX)
		return -EAGAIN;
	if ((p = malloc(sizeof(*p))) == NULL)
		return -ENOMEM;
	if ((rc = link_send(cmd->link, argc, argv, lens)) < 0) {
		free(p);
		return rc;
	}
	p->fn = fn;
	p->arg = arg;
	p->sent_ms = uv_now(cmd->loop);
	list_add_tail(&cmd->pending, &p->node);
	if (cmd->n_pending++ == 0)
		uv_timer_start(&cmd->timer, on_tick, TICK_MS, TICK_MS);
	return 0;
}
