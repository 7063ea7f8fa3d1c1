/*
 * What only some feeds have: see struct feed_more.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/logger.h"
#include "hub/private.h"
#include "logic/message.h"
#include "logic/reply.h"
#include "redis/command.h"
#include "redis/keys.h"
#include "redis/stream_entry.h"

enum { ARGS_MAX = 64, COMMAND_TEXT_MAX = 64 * 1024, REPLY_MAX = 64 * 1024 * 1024 };

/* What was asked of Redis for a feed, which may end before the answer comes. */
struct ask {
	struct list of_feed;
	struct feed *feed; /* NULL: it has ended */
	feed_reply_fn fn;
	char command[32];
};

static int
emit_paced(struct pace *p, const struct event *ev)
{
	return feed_emit(LIST_ENTRY(p, struct feed_more, pace)->feed, ev);
}

int
more_new(struct feed *fd)
{
	struct feed_more *more;

	if (fd->more != NULL)
		return 0;
	if ((more = calloc(1, sizeof(*more))) == NULL)
		return -ENOMEM;
	more->feed = fd;
	more->callback = SCRIPT_NONE;
	pace_init(&more->pace, &fd->class->settings->pace, &fd->class->pace, fd->class->out.counted,
		  emit_paced);
	list_init(&more->asks);
	list_init(&more->waiters);
	list_init(&more->replays);
	list_init(&more->snapshot_asked);
	list_init(&more->snapshot_wanted);
	list_init(&more->operations);
	buf_init(&more->last, SIZE_MAX);
	fd->more = more;
	return 0;
}

static void
on_timers_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct feed_more, closing));
}

void
more_free(struct feed *fd)
{
	struct feed_more *more = fd->more;
	struct list *node, *tmp;

	if (more == NULL)
		return;
	LIST_FOREACH (node, tmp, &more->asks) {
		LIST_ENTRY(node, struct ask, of_feed)->feed = NULL;
		list_del(node);
	}
	recorded_forget(fd);
	keyspace_forget(fd);
	queue_end(fd);
	pace_clear(&more->pace);
	buf_fini(&more->last);
	stages_close(&fd->class->settings->stages, more->callback);
	fd->more = NULL;
	if (!more->has_timers) {
		free(more);
		return;
	}
	closing_begin(&more->closing, on_timers_closed);
	closing_add(&more->closing, (uv_handle_t *)&more->timer);
	closing_add(&more->closing, (uv_handle_t *)&more->after);
	closing_add(&more->closing, (uv_handle_t *)&more->again);
}

/* Timers */

static void
on_timer(uv_timer_t *timer)
{
	struct feed_more *more = timer->data;

	const struct handler *handler = more->feed->class->handler;

	if (more->feed->is_tended)
		handler->tend(more->feed);
	else
		handler->timer(more->feed);
}

/* Whether anybody follows or not: the script counts on it. */
static void
on_after(uv_timer_t *timer)
{
	struct feed_more *more = timer->data;

	feed_run_script(more->feed);
}

int
more_need_timers(struct feed *fd)
{
	uv_loop_t *loop = fd->class->hub->loop;
	int rc;

	if ((rc = more_new(fd)) < 0 || fd->more->has_timers)
		return rc;
	uv_timer_init(loop, &fd->more->timer);
	uv_timer_init(loop, &fd->more->after);
	uv_timer_init(loop, &fd->more->again);
	fd->more->timer.data = fd->more->after.data = fd->more->again.data = fd->more;
	fd->more->has_timers = true;
	return 0;
}

int
feed_timer(struct feed *fd, unsigned ms)
{
	if (ms == 0) {
		if (fd->more != NULL && fd->more->has_timers)
			uv_timer_stop(&fd->more->timer);
		return 0;
	}
	if ((fd->class->handler->timer == NULL && !fd->is_tended) || more_need_timers(fd) < 0)
		return HTTP_INTERNAL_ERROR;
	uv_timer_start(&fd->more->timer, on_timer, ms, 0);
	return 0;
}

void
more_call_after(struct feed *fd, uint64_t ms)
{
	if (more_need_timers(fd) == 0)
		uv_timer_start(&fd->more->after, on_after, ms, 0);
}

/* The newest event */

int
feed_keep_last(struct feed *fd, bool only_changes)
{
	if (more_new(fd) < 0)
		return HTTP_INTERNAL_ERROR;
	fd->more->keeps_last = true;
	fd->more->only_changes = only_changes;
	return 0;
}

bool
more_is_news(const struct feed *fd, const struct buf *frame)
{
	const struct feed_more *more = fd->more;

	return more == NULL || !more->keeps_last || !more->only_changes ||
	       more->last.len != frame->len || memcmp(more->last.p, frame->p, frame->len) != 0;
}

void
more_keep(struct feed *fd, const struct buf *frame)
{
	struct feed_more *more = fd->more;

	if (more == NULL || !more->keeps_last)
		return;
	buf_truncate(&more->last, 0);
	if (buf_put(&more->last, frame->p, frame->len) < 0)
		logger_error("out of memory: new subscribers are not told the newest event");
}

void
feed_forget_last(struct feed *fd)
{
	if (fd->more != NULL)
		buf_fini(&fd->more->last);
}

/* Redis */

/* The reply as a message; false if there is none to speak of. */
static bool
read_reply(struct feed *fd, struct buf *text, const struct redisReply *reply, const char *command)
{
	bool is_map = reply_is_map(command);
	int rc;

	if (reply == NULL) {
		fd->more->is_reply_refused = false;
		return false;
	}
	rc = reply_put(text, reply, is_map);
	if (rc == 0)
		rc = buf_putc(text, '\0');
	if (rc == 0 || rc == -ENOENT) {
		fd->more->is_reply_refused = false;
		counters_set_reply(fd->class->out.counted, false, clock_ms());
		return true;
	}
	if (stream_reply_is_passing(reply))
		return false;
	fd->more->is_reply_refused = true;
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
	size_t lens[ARGS_MAX];
	int i, rc;

	if (ask == NULL)
		return -ENOMEM;
	for (i = 0; i < argc; i++)
		lens[i] = strlen(argv[i]);
	*ask = (struct ask){.feed = fd, .fn = fn};
	snprintf(ask->command, sizeof(ask->command), "%s", argv[0]);
	rc = command_send(fd->class->hub->command, on_reply, ask, argc, argv, lens);
	if (rc < 0)
		free(ask);
	else
		list_add_tail(&fd->more->asks, &ask->of_feed);
	return rc;
}

/* With the prefix before each key, in one buffer that holds them. */
static int
ask(struct feed *fd, feed_reply_fn fn, int argc, const char *const *argv)
{
	const char *prefix = subjects_prefix(fd->class->hub->subjects), *prefixed[ARGS_MAX];
	char *own[ARGS_MAX];
	int i, n = 0, rc = more_new(fd);

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

/* Each word is expanded by itself: a value can add none. */
int
more_ask_words(struct feed *fd, struct template *const *words, feed_reply_fn fn)
{
	const struct template_scope scope = {.params = fd->params};
	const char *argv[ARGS_MAX];
	size_t at[ARGS_MAX];
	struct buf text;
	int i, argc = 0, rc = 0;

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

int
feed_ask_key(struct feed *fd, const char *name, feed_reply_fn fn)
{
	const struct own *own = own_find(&fd->class->settings->own, name);

	return more_ask_words(fd, own != NULL ? own->words : NULL, fn);
}

unsigned
feed_interval_ms(const struct feed *fd)
{
	return fd->class->settings->interval_ms;
}
