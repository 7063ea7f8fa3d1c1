#include "hub/feed_logic.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/refusal.h"
#include "logic/message.h"
#include "logic/reply.h"
#include "redis/beside.h"
#include "redis/command.h"
#include "redis/keys.h"
#include "redis/stream_entry.h"

enum { ARGS_MAX = 64, COMMAND_TEXT_MAX = 64 * 1024, REPLY_MAX = 64 * 1024 * 1024 };

/* A question to Redis. The feed may end before the answer comes. */
struct ask {
	struct list of_feed;
	struct feed *feed; /* NULL: it has ended */
	feed_reply_fn fn;
	char command[32];
};

static int
emit_paced(struct pace *p, const struct event *ev)
{
	return feed_emit(LIST_ENTRY(p, struct feed_logic, pace)->feed, ev);
}

int
feed_need_logic(struct feed *fd)
{
	struct feed_logic *logic;

	if (fd->logic != NULL)
		return 0;
	if ((logic = calloc(1, sizeof(*logic))) == NULL)
		return -ENOMEM;
	logic->feed = fd;
	logic->callback = SCRIPT_NONE;
	pace_init(&logic->pace, &fd->class->settings->pace, &fd->class->pace,
		  fd->class->out.counted, emit_paced);
	fifo_node_init(&logic->silence);
	list_init(&logic->asks);
	buf_init(&logic->last, BUF_CAP_MAX);
	fd->logic = logic;
	return 0;
}

static void
on_timers_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct feed_logic, closing));
}

void
feed_end_logic(struct feed *fd)
{
	struct feed_logic *logic = fd->logic;
	struct list *node, *tmp;

	if (logic == NULL)
		return;
	LIST_FOREACH (node, tmp, &logic->asks) {
		LIST_ENTRY(node, struct ask, of_feed)->feed = NULL;
		list_del(node);
	}
	pace_clear(&logic->pace);
	fifo_del(&logic->silence);
	buf_fini(&logic->last);
	stages_close(&fd->class->settings->stages, logic->callback);
	fd->logic = NULL;
	if (!logic->has_timers) {
		free(logic);
		return;
	}
	closing_begin(&logic->closing, on_timers_closed);
	closing_add(&logic->closing, (uv_handle_t *)&logic->timer);
	closing_add(&logic->closing, (uv_handle_t *)&logic->after);
}

/* Timers */

static void
on_timer(uv_timer_t *timer)
{
	struct feed_logic *logic = timer->data;
	const struct handler *handler = logic->feed->class->handler;

	if (logic->feed->is_tended)
		handler->tend(logic->feed);
	else
		handler->timer(logic->feed);
}

/* It is called even if nobody follows the feed, because the script counts on it. */
static void
on_after(uv_timer_t *timer)
{
	struct feed_logic *logic = timer->data;

	logic->on_after(logic->feed);
}

static int
need_timers(struct feed *fd)
{
	uv_loop_t *loop = fd->class->hub->loop;
	int rc;

	if ((rc = feed_need_logic(fd)) < 0 || fd->logic->has_timers)
		return rc;
	uv_timer_init(loop, &fd->logic->timer);
	uv_timer_init(loop, &fd->logic->after);
	fd->logic->timer.data = fd->logic->after.data = fd->logic;
	fd->logic->has_timers = true;
	return 0;
}

int
feed_timer(struct feed *fd, unsigned ms)
{
	if (ms == 0) {
		if (fd->logic != NULL && fd->logic->has_timers)
			uv_timer_stop(&fd->logic->timer);
		return 0;
	}
	if ((fd->class->handler->timer == NULL && !fd->is_tended) || need_timers(fd) < 0)
		return HTTP_INTERNAL_ERROR;
	uv_timer_start(&fd->logic->timer, on_timer, ms, 0);
	return 0;
}

void
feed_call_after(struct feed *fd, uint64_t ms, void (*fn)(struct feed *fd))
{
	if (need_timers(fd) < 0)
		return;
	fd->logic->on_after = fn;
	uv_timer_start(&fd->logic->after, on_after, ms, 0);
}

/* The newest event */

int
feed_keep_last(struct feed *fd, bool only_changes)
{
	if (feed_need_logic(fd) < 0)
		return HTTP_INTERNAL_ERROR;
	fd->logic->keeps_last = true;
	fd->logic->only_changes = only_changes;
	return 0;
}

void
feed_forget_last(struct feed *fd)
{
	if (fd->logic != NULL)
		buf_fini(&fd->logic->last);
}

/* Redis */

/* Reads the reply as a message; false: there was an error, or no answer. */
static bool
read_reply(struct feed *fd, struct buf *text, const struct redisReply *reply, const char *command)
{
	bool is_map = reply_is_map(command);
	int rc;

	if (reply == NULL) {
		fd->logic->is_reply_refused = false;
		return false;
	}
	rc = reply_put(text, reply, is_map);
	if (rc == 0)
		rc = buf_putc(text, '\0');
	if (rc == 0 || rc == -ENOENT) {
		fd->logic->is_reply_refused = false;
		counters_set_reply(fd->class->out.counted, false, clock_ms());
		return true;
	}
	if (stream_reply_is_passing(reply))
		return false;
	fd->logic->is_reply_refused = true;
	counters_set_reply(fd->class->out.counted, true, clock_ms());
	class_tell_refusal(fd->class, command,
			   reply->type == REDIS_REPLY_ERROR ? reply->str : strerror(-rc));
	return false;
}

static void
on_reply(void *arg, const struct redisReply *reply)
{
	struct ask ask = *(struct ask *)arg;
	struct message msg;
	struct buf text;

	list_del(&((struct ask *)arg)->of_feed);
	free(arg);
	if (ask.feed == NULL)
		return;
	buf_init(&text, REPLY_MAX);
	if (read_reply(ask.feed, &text, reply, ask.command)) {
		message_init(&msg, "", 0, text.p, text.len > 0 ? text.len - 1 : 0);
		ask.fn(ask.feed, &msg);
		message_fini(&msg);
	} else {
		ask.fn(ask.feed, NULL);
	}
	buf_fini(&text);
}

static int
send_ask(struct feed *fd, feed_reply_fn fn, int argc, const char *const *argv)
{
	struct ask *ask = malloc(sizeof(*ask));
	int rc;

	if (ask == NULL)
		return -ENOMEM;
	*ask = (struct ask){.feed = fd, .fn = fn};
	snprintf(ask->command, sizeof(ask->command), "%s", argv[0]);
	rc = command_send(fd->class->hub->command, on_reply, ask,
			  (struct resp_words){argc, argv, NULL});
	if (rc < 0)
		free(ask);
	else
		list_add_tail(&fd->logic->asks, &ask->of_feed);
	return rc;
}

/* Asks with the prefix before each key; one buffer holds all keys with their prefix. */
static int
ask(struct feed *fd, feed_reply_fn fn, int argc, const char *const *argv)
{
	const char *prefix = subjects_prefix(fd->class->hub->subjects), *prefixed[ARGS_MAX];
	char *own[ARGS_MAX];
	int i, n = 0, rc = feed_need_logic(fd);

	if (rc == 0 && !keys_is_shareable(argv[0]))
		return -EINVAL;
	if (rc == 0 && fd->class->hub->command == NULL)
		return -ENOTCONN;
	for (i = 0; i < argc && rc == 0; i++) {
		prefixed[i] = argv[i];
		if (*prefix == '\0' || !keys_is_key(argc, argv, i))
			continue;
		if (asprintf(&own[n], "%s%s", prefix, argv[i]) < 0)
			rc = -ENOMEM;
		else
			prefixed[i] = own[n++];
	}
	if (rc == 0)
		rc = send_ask(fd, fn, argc, prefixed);
	while (n > 0)
		free(own[--n]);
	return rc;
}

int
feed_ask(struct feed *fd, feed_reply_fn fn, ...)
{
	const char *argv[ARGS_MAX], *arg;
	int argc = 0;
	va_list ap;

	va_start(ap, fn);
	while ((arg = va_arg(ap, const char *)) != NULL && argc < ARGS_MAX)
		argv[argc++] = arg;
	va_end(ap);
	if (arg != NULL || argc == 0)
		return -E2BIG;
	return ask(fd, fn, argc, argv);
}

/* Each word is expanded by itself, so a value cannot add a word. */
int
feed_ask_words(struct feed *fd, struct template *const *words, feed_reply_fn fn)
{
	const struct template_scope scope = {.params = fd->params};
	const char *argv[ARGS_MAX];
	size_t at[ARGS_MAX];
	struct buf text;
	int i, argc = 0, rc = 0;

	if (fd->logic != NULL)
		fd->logic->is_reply_refused = false;
	if (words == NULL)
		return -ENOENT;
	buf_init(&text, COMMAND_TEXT_MAX);
	for (; argc < ARGS_MAX && words[argc] != NULL && rc == 0; argc++) {
		at[argc] = text.len;
		if ((rc = template_expand(words[argc], &scope, &text)) == 0)
			rc = buf_putc(&text, '\0');
	}
	for (i = 0; i < argc && rc == 0; i++)
		argv[i] = text.p + at[i];
	if (rc == 0 && argc > 0)
		rc = ask(fd, fn, argc, argv);
	buf_fini(&text);
	return rc;
}

bool
feed_is_in_cluster(const struct feed *fd)
{
	return subjects_redis(fd->class->hub->subjects)->is_cluster;
}

const char *
feed_publish_verb(const struct feed *fd)
{
	return redis_publish_verb(subjects_redis(fd->class->hub->subjects));
}

int
feed_ask_key(struct feed *fd, const char *name, feed_reply_fn fn)
{
	const struct handler_setting *setting =
	    handler_setting_find(&fd->class->settings->handler_settings, name);

	return feed_ask_words(fd, setting != NULL ? setting->words : NULL, fn);
}

unsigned
feed_interval_ms(const struct feed *fd)
{
	return fd->class->settings->interval_ms;
}
