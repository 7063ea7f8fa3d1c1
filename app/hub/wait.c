#include "hub/wait.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/private.h"
#include "hub/render.h"
#include "logic/entry.h"

enum { PAST_MAX = 1000 };

struct question {
	struct waiter *w;
	unsigned stream;
};

static void
on_timer_closed(uv_handle_t *timer)
{
	struct waiter *w = timer->data;

	w->on_closed(w);
}

static void
close_if_done(struct waiter *w)
{
	if (w->feed == NULL && w->n_pending == 0)
		uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

/* The feed lingers when nobody else wants it. */
static void
leave(struct waiter *w)
{
	struct feed *fd = w->feed;

	list_del(&w->of_feed);
	uv_timer_stop(&w->timer);
	w->feed = NULL;
	if (fd->n_subs == 0 && list_is_empty(&fd->more->waiters) && !fd->is_dead)
		feed_linger(fd);
}

/* It is told, once. */
static void
tell(struct waiter *w, const struct event *ev)
{
	leave(w);
	w->on_event(w, ev);
	close_if_done(w);
}

void
wait_cancel(struct waiter *w)
{
	if (w->feed == NULL)
		return;
	leave(w);
	close_if_done(w);
}

static void ask_all(struct waiter *w);

/*
 * Who asks for the past gets the first of it, and that may be older than this one; so may it be
 * before it was asked for: what came while the feed was opened is delivered before the feed is
 * confirmed.
 */
void
wait_answer(struct feed *fd, const struct event *ev)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->more->waiters) {
		struct waiter *w = LIST_ENTRY(node, struct waiter, of_feed);

		if (ev == NULL || (w->n_pending == 0 && !w->needs_past))
			tell(w, ev);
		else if (w->n_pending > 0)
			w->is_dirty = true;
		else if (fd->n_unconfirmed == 0)
			ask_all(w); /* again: Redis did not answer */
	}
}

static void
on_time(uv_timer_t *timer)
{
	tell(timer->data, NULL);
}

/* The past */

/* The first event of the past. */
struct first {
	struct sink sink;
	struct waiter *w;
};

static void
put_first(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct waiter *w = LIST_ENTRY(to, struct first, sink)->w;

	(void)of;
	(void)is_last;
	if (w->feed != NULL)
		tell(w, ev);
}

static bool
read_one(struct entry *en, const struct feed *fd, unsigned stream, struct stream_id *id,
	 const redisReply *one)
{
	return one->type == REDIS_REPLY_ARRAY && one->elements == 2 &&
	       one->element[0]->type == REDIS_REPLY_STRING &&
	       stream_id_parse(id, one->element[0]->str, one->element[0]->len) &&
	       entry_read(en, replay_stream_name(fd, stream), id, one->element[1]) == 0;
}

/* One entry after the other, until one comes to an event. */
static void
look_through(struct waiter *w, unsigned stream, const redisReply *reply)
{
	struct feed *fd = w->feed;
	struct first first = {{put_first}, w};
	struct stream_id cursor[STREAM_CURSOR_MAX];
	const struct place at = {cursor, fd->more->n_streams, replay_open_script(fd)};
	struct entry en;
	size_t i;

	memcpy(cursor, w->after, sizeof(cursor));
	for (i = 0; i < reply->elements && w->feed != NULL; i++) {
		if (!read_one(&en, fd, stream, &cursor[stream], reply->element[i]))
			continue;
		(void)render(fd, &at, &en.msg, &first.sink);
		entry_fini(&en);
	}
	stages_close(&fd->class->settings->stages, at.callback);
	if (reply->elements == PAST_MAX) {
		w->after[stream] = cursor[stream]; /* none of these; there is more */
		w->is_dirty = true;
	}
}

static void
on_past(void *arg, const redisReply *reply)
{
	struct question q = *(struct question *)arg;
	struct waiter *w = q.w;

	free(arg);
	if (w->feed == NULL)
		;
	else if (reply == NULL)
		w->needs_past = true;
	else if (reply->type == REDIS_REPLY_ARRAY)
		look_through(w, q.stream, reply);
	w->n_pending--; /* until here it keeps w, which may be told meanwhile */
	if (w->feed == NULL)
		close_if_done(w);
	else if (w->n_pending == 0 && w->is_dirty)
		ask_all(w);
}

static void
ask_past(struct waiter *w, unsigned stream)
{
	char key[STREAM_KEY_MAX], from[STREAM_ID_TEXT + 1] = "(", count[16];
	const char *argv[] = {"XRANGE", key, from, "+", "COUNT", count};
	struct question *q = malloc(sizeof(*q));

	if (q == NULL || w->feed->class->hub->command == NULL) {
		free(q);
		w->needs_past = true;
		return;
	}
	*q = (struct question){w, stream};
	replay_print_key(key, w->feed, stream);
	stream_id_print(from + 1, &w->after[stream]);
	snprintf(count, sizeof(count), "%d", PAST_MAX);
	if (command_send(w->feed->class->hub->command, on_past, q, 6, argv, NULL) < 0) {
		free(q);
		w->needs_past = true;
	} else {
		w->n_pending++;
	}
}

static void
ask_all(struct waiter *w)
{
	unsigned i;

	w->is_dirty = false;
	w->needs_past = false;
	for (i = 0; i < w->feed->more->n_streams; i++)
		ask_past(w, i);
}

/* What is published from now on arrives, so the past is what was before. */
void
wait_confirmed(struct feed *fd)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->more->waiters) {
		struct waiter *w = LIST_ENTRY(node, struct waiter, of_feed);

		if (w->has_after && w->n_pending == 0)
			ask_all(w);
	}
}

int
wait_begin(struct waiter *w, struct feed *fd, uint64_t ms, const char *after,
	   void (*on_event)(struct waiter *w, const struct event *ev),
	   void (*on_closed)(struct waiter *w))
{
	int rc;

	if (fd->is_refused)
		return HTTP_FORBIDDEN;
	if ((rc = more_new(fd)) < 0)
		return rc;
	memset(w, 0, sizeof(*w));
	if (after != NULL && !stream_cursor_parse(w->after, fd->more->n_streams, after))
		return -EINVAL;
	w->feed = fd;
	w->has_after = w->needs_past = after != NULL && fd->more->n_streams > 0;
	w->on_event = on_event;
	w->on_closed = on_closed;
	uv_timer_init(fd->class->hub->loop, &w->timer);
	w->timer.data = w;
	uv_timer_start(&w->timer, on_time, ms, 0);
	list_init(&w->of_feed);
	list_add_tail(&fd->more->waiters, &w->of_feed);
	fifo_del(&fd->linger);
	if (fd->n_unconfirmed == 0)
		wait_confirmed(fd);
	return 0;
}
