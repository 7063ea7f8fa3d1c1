#include "hub/wait.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/private.h"
#include "hub/render.h"
#include "logic/entry.h"

static void
on_timer_closed(uv_handle_t *timer)
{
	struct waiter *w = timer->data;

	w->on_closed(w);
}

/* The feed lingers when nobody else wants it. */
static void
leave(struct waiter *w)
{
	struct feed *fd = w->feed;
	unsigned i;

	list_del(&w->of_feed);
	uv_timer_stop(&w->timer);
	for (i = 0; i < STREAM_CURSOR_MAX; i++)
		past_cancel(&w->parts[i].reading);
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
	uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

void
wait_cancel(struct waiter *w)
{
	if (w->feed == NULL)
		return;
	leave(w);
	uv_close((uv_handle_t *)&w->timer, on_timer_closed);
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

/* One entry after the other, until one comes to an event. */
static void
look_through(struct waiter *w, unsigned stream, const redisReply *reply)
{
	struct feed *fd = w->feed;
	struct first first = {{put_first}, w};
	struct stream_id cursor[STREAM_CURSOR_MAX];
	const struct place at = {cursor, fd->more->n_streams, replay_open_script(fd)};
	struct stream_entry entry;
	struct entry en;
	size_t i;

	memcpy(cursor, w->after, sizeof(cursor));
	for (i = 0; i < reply->elements && w->feed != NULL; i++) {
		if (!stream_entry_parse(&entry, reply->element[i]) ||
		    entry_read(&en, replay_stream_name(fd, stream), &entry.id, entry.fields) < 0)
			continue;
		cursor[stream] = entry.id;
		(void)render(fd, &at, &en.msg, &first.sink);
		entry_fini(&en);
	}
	stages_close(&fd->class->settings->stages, at.callback);
	w->after[stream] = cursor[stream]; /* none of these */
}

static void
on_past(struct past_reading *reading, const struct past_answer *answer)
{
	struct wait_part *part = LIST_ENTRY(reading, struct wait_part, reading);
	struct waiter *w = part->waiter;
	unsigned stream = (unsigned)(part - w->parts);
	const redisReply *reply = answer->reply;

	w->n_pending--;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		w->needs_past = true;
		if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
			class_tell_refusal(w->feed->class, replay_stream_name(w->feed, stream),
					   reply->str);
		return;
	}
	if (reply->elements > 0)
		part->entry_size = stream_entry_bytes(reply) / reply->elements + 1;
	look_through(w, stream, reply);
	if (w->feed == NULL)
		return; /* it was told */
	if (!answer->is_whole)
		w->is_dirty = true; /* there is more */
	if (w->n_pending == 0 && w->is_dirty)
		ask_all(w);
}

/* What comes behind the feed's cursor is told as it comes. */
static void
ask_past(struct waiter *w, unsigned stream)
{
	struct wait_part *part = &w->parts[stream];
	struct past_range range = {.from = stream_id_after(w->after[stream]),
				   .to = w->feed->more->cursor[stream],
				   .count = past_count(part->entry_size)};
	char key[STREAM_KEY_MAX];

	if (stream_id_compare(&range.from, &range.to) > 0)
		return;
	replay_print_key(key, w->feed, stream);
	part->waiter = w;
	part->reading.on_answer = on_past;
	if (past_read(w->feed->class->hub->past, &part->reading, key, &range) < 0)
		w->needs_past = true;
	else
		w->n_pending++;
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

	if ((rc = more_new(fd)) < 0)
		return rc;
	memset(w, 0, sizeof(*w));
	switch (after != NULL ? cursor_parse(w->after, fd, after) : CURSOR_OURS) {
	case CURSOR_UNKNOWN:
		return -EINVAL;
	case CURSOR_OTHER:
		after = NULL; /* another's past is none of this one's: what comes now */
		break;
	case CURSOR_OURS:
		break;
	}
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
