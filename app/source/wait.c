#include "source/wait.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "hub/refusal.h"
#include "logic/entry.h"
#include "redis/stream_entry.h"
#include "source/live.h"

enum { FIRST_PAGE = 16, AGAIN_MS = 300, REFUSED_MS = 1000 };

static void
on_timer_closed(uv_handle_t *timer)
{
	struct waiter *w = timer->data;

	w->ops->on_closed(w);
}

/* It does not need anything any more. */
static void
leave(struct waiter *w)
{
	for (unsigned i = 0; i < feed_cursor(w->listener.feed)->n; i++)
		past_cancel(&w->parts[i].reading);
	feed_remove_listener(&w->listener);
	uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

/* It is told, once. */
static void
tell(struct waiter *w, const struct event *ev)
{
	leave(w);
	w->ops->on_event(w, ev);
}

void
wait_cancel(struct waiter *w)
{
	if (w->listener.feed != NULL)
		leave(w);
}

/*
 * Its client may have had this event already, from another worker that is ahead of this one's
 * reader.
 */
static bool
is_had(const struct waiter *w)
{
	const struct cursor *c = feed_cursor(w->listener.feed);

	for (unsigned i = 0; i < c->n; i++) {
		if (stream_id_compare(&c->at[i], &w->parts[i].after) > 0)
			return false;
	}
	return true;
}

static struct waiter *
waiter_of(struct feed_listener *l)
{
	return LIST_ENTRY(l, struct waiter, listener);
}

static void
on_listened(struct feed_listener *l, const struct event *ev, bool is_entry)
{
	struct waiter *w = waiter_of(l);

	if (ev == NULL || (w->state == WAITER_LIVE && !(is_entry && is_had(w))))
		tell(w, ev);
}

/* The past */

/* The sink for the first event of the past. */
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
	if (w->listener.feed != NULL)
		tell(w, ev);
}

static void go_on(struct waiter *w);

static void
on_time(uv_timer_t *timer)
{
	struct waiter *w = timer->data;

	if (uv_now(timer->loop) >= w->until_ms)
		tell(w, NULL);
	else
		go_on(w);
}

static void
set_timer(struct waiter *w, uint64_t ms)
{
	uint64_t now = uv_now(w->timer.loop), left = w->until_ms > now ? w->until_ms - now : 0;

	uv_timer_start(&w->timer, on_time, left < ms ? left : ms, 0);
}

static const struct source *
source_of(const struct waiter_part *part)
{
	return feed_source_at(part->w->listener.feed, (unsigned)(part - part->w->parts));
}

/* The answer is of no use: it is asked again, until the time is over. */
static void
fail(struct waiter_part *part, const redisReply *reply)
{
	struct waiter *w = part->w;
	bool is_refused =
	    reply != NULL && reply->type == REDIS_REPLY_ERROR && !stream_reply_is_passing(reply);

	w->has_failed = true;
	set_timer(w, is_refused ? REFUSED_MS : AGAIN_MS);
	if (is_refused)
		class_tell_refusal(w->listener.feed->class, source_name(source_of(part)),
				   reply->str);
}

static void
answered(struct waiter *w)
{
	if (--w->n_pending == 0 && !w->has_failed)
		go_on(w);
}

/* Renders one entry after the other, until one becomes an event. */
static void
look_through(struct waiter *w, struct waiter_part *part, const redisReply *reply)
{
	unsigned stream = (unsigned)(part - w->parts);
	struct feed *fd = w->listener.feed;
	/* The feed lives until the turn's end. */
	struct stages *stages = &fd->class->settings->stages;
	struct first first = {{put_first}, w};
	struct stream_id cursor[STREAM_CURSOR_MAX];
	const struct place at = {cursor, feed_cursor(fd)->n, feed_cursor(fd)->whose,
				 replay_open_script(fd)};
	struct stream_entry one;
	struct entry en;

	for (unsigned i = 0; i < at.n_cursor; i++)
		cursor[i] = w->parts[i].after;
	for (size_t i = 0; i < reply->elements && w->listener.feed != NULL; i++) {
		if (!stream_entry_parse(&one, reply->element[i]))
			continue;
		part->after = cursor[stream] = one.id;
		if (entry_read(&en, source_name(source_of(part)), &one.id, one.fields) < 0)
			continue;
		(void)render(fd, &at, &en.msg, &first.sink);
		entry_fini(&en);
	}
	stages_close(stages, at.callback);
}

static void
on_page(struct past_reading *reading, const struct past_answer *answer)
{
	struct waiter_part *part = LIST_ENTRY(reading, struct waiter_part, reading);
	struct waiter *w = part->w;
	const redisReply *reply = answer->reply;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		fail(part, reply);
	} else {
		look_through(w, part, reply);
		if (w->listener.feed == NULL)
			return;
		if (answer->is_whole)
			part->after = part->to;
		else if (reply->elements > 0)
			part->entry_size = stream_entry_bytes(reply) / reply->elements;
	}
	answered(w);
}

/* The client's id is newer than what we have: is there such an entry? */
static void
on_look(struct past_reading *reading, const struct past_answer *answer)
{
	struct waiter_part *part = LIST_ENTRY(reading, struct waiter_part, reading);
	struct stream_info info;

	if (answer->reply == NULL || stream_info_read(&info, answer->reply) < 0)
		fail(part, answer->reply);
	else if (stream_id_compare(&part->after, &info.newest) > 0)
		/* It is none of ours, so only what comes from now on counts. */
		part->after = part->to;
	else
		part->to = part->after; /* it will come, and the client has had it */
	answered(part->w);
}

/* Returns whether there is anything to ask for. */
static bool
ask(struct waiter_part *part)
{
	struct waiter *w = part->w;
	struct past *past = w->listener.feed->class->hub->past;
	int order = stream_id_compare(&part->after, &part->to);
	struct past_range range = {.from = part->after, .to = part->to};
	char key[STREAM_KEY_MAX];
	int rc;

	if (order == 0)
		return false;
	source_print_key(key, source_of(part));
	w->n_pending++;
	if (order > 0) {
		part->reading.on_answer = on_look;
		rc = past_look(past, &part->reading, key);
	} else {
		part->reading.on_answer = on_page;
		range.from = stream_id_after(part->after);
		range.count = past_count(part->entry_size);
		if (range.count == 0)
			range.count = FIRST_PAGE;
		rc = past_read(past, &part->reading, key, &range);
	}
	if (rc < 0) {
		w->n_pending--;
		fail(part, NULL);
	}
	return true;
}

/*
 * Reads up to the feed's cursor. That moves on meanwhile, so it is repeated until nothing came in
 * between. What comes after that is live.
 */
static void
go_on(struct waiter *w)
{
	const struct cursor *c = feed_cursor(w->listener.feed);
	bool is_asking = false;

	if (w->state != WAITER_PAST || w->n_pending > 0)
		return;
	w->has_failed = false;
	set_timer(w, UINT64_MAX);
	for (unsigned i = 0; i < c->n; i++) {
		struct waiter_part *part = &w->parts[i];

		if (stream_id_compare(&part->to, &c->at[i]) < 0)
			part->to = c->at[i];
		is_asking = ask(part) || is_asking;
	}
	if (!is_asking)
		w->state = WAITER_LIVE;
}

/* What is published from now on arrives, so the past is what came before. */
static void
on_confirmed(struct feed_listener *l)
{
	struct waiter *w = waiter_of(l);

	if (w->state != WAITER_OPENING)
		return;
	w->state = WAITER_PAST;
	go_on(w);
}

static const struct feed_listener_ops listener_ops = {.event = on_listened,
						      .confirmed = on_confirmed};

/* Returns 0, with whether the past counts; -EINVAL. */
static int
read_after(struct waiter *w, struct feed *fd, const char *after)
{
	const struct cursor *c = feed_cursor(fd);
	struct stream_id ids[STREAM_CURSOR_MAX];

	switch (cursor_parse(ids, c, after)) {
	case CURSOR_UNKNOWN:
		return -EINVAL;
	case CURSOR_OTHER:
		return 0; /* the id belongs to another user's streams, so only what comes now counts
			   */
	case CURSOR_OURS:
		break;
	}
	for (unsigned i = 0; i < c->n; i++)
		w->parts[i] = (struct waiter_part){.w = w, .after = ids[i]};
	w->state = c->n > 0 ? WAITER_OPENING : WAITER_LIVE;
	return 0;
}

int
wait_begin(struct waiter *w, struct feed *fd, uint64_t ms, const char *after,
	   const struct waiter_ops *ops)
{
	int rc;

	memset(w, 0, sizeof(*w));
	w->state = WAITER_LIVE;
	if (after != NULL && *after != '\0' && (rc = read_after(w, fd, after)) < 0)
		return rc;
	w->ops = ops;
	uv_timer_init(fd->class->hub->loop, &w->timer);
	w->timer.data = w;
	w->until_ms = uv_now(w->timer.loop) + ms;
	set_timer(w, ms);
	w->listener.ops = &listener_ops;
	feed_add_listener(fd, &w->listener);
	if (feed_is_open(fd))
		on_confirmed(&w->listener);
	return 0;
}
