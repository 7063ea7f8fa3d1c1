/*
 * emit.c - appends an event to the feed's log. It is encoded once for all who read it.
 */
#include "hub/emit.h"

#include <string.h>

#include "base/logger.h"
#include "hub/feed_logic.h"
#include "hub/source.h"
#include "sse/wire.h"

int
feed_append(struct feed *fd, const struct buf *frame, bool is_event)
{
	int rc;

	if ((rc = outlet_put(&fd->out, frame, is_event)) == 0 && feed_is_wanted(fd))
		fifo_add(&fd->class->beats, &fd->due);
	return rc;
}

/* max_events counts what each subscriber was sent: who joined earlier was sent more. */
static void
end_those_who_had_all(struct feed *fd)
{
	uint64_t max = fd->class->settings->max_events;
	struct list *node, *tmp;

	if (max == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->out.joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (subscriber_is_open(sub) && fd->out.n_events - sub->n_before >= max)
			subscriber_end(sub, END_MAX_EVENTS);
	}
}

/* The newest event is kept for later subscribers. Is it another one than before? */

static bool
is_news(const struct feed *fd, const struct buf *frame)
{
	const struct feed_logic *logic = fd->logic;

	return logic == NULL || !logic->keeps_last || !logic->only_changes ||
	       logic->last.len != frame->len || memcmp(logic->last.p, frame->p, frame->len) != 0;
}

static void
keep(struct feed *fd, const struct buf *frame)
{
	struct feed_logic *logic = fd->logic;

	if (logic == NULL || !logic->keeps_last)
		return;
	buf_truncate(&logic->last, 0);
	if (buf_put(&logic->last, frame->p, frame->len) < 0)
		logger_error(
		    "[route %s] out of memory: new subscribers are not sent the newest event",
		    fd->class->settings->stages.route);
}

int
feed_emit(struct feed *fd, const struct event *ev)
{
	struct hub *hub = fd->class->hub;
	size_t n_replaced = 0;
	int rc;

	buf_truncate(&hub->frame, 0);
	if ((rc = fd->out.log.wire->event(&hub->frame, ev, &n_replaced)) < 0)
		return rc;
	if (!is_news(fd, &hub->frame))
		return 0;
	if (fd->cursor != NULL && fd->class->kind->hold != NULL)
		fd->class->kind->hold(fd);
	if ((rc = feed_append(fd, &hub->frame, true)) < 0)
		return rc;
	keep(fd, &hub->frame);
	if (n_replaced > 0)
		feed_count(fd, COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	feed_count(fd, COUNTER_EVENTS, 1);
	if (hub->on_event != NULL)
		hub->on_event(fd->class->settings->stages.route, ev);
	if (fd->cursor != NULL && feed_holds(fd))
		memcpy(fd->cursor->settled, fd->cursor->at, sizeof(fd->cursor->settled));
	end_those_who_had_all(fd);
	outlet_check_slow(&fd->out);
	return 0;
}

/* A frame about the stream itself, or a heartbeat: it does not count as an event. */
int
feed_emit_own(struct feed *fd, const char *type, const char *data)
{
	struct hub *hub = fd->class->hub;
	struct event ev = {
	    .type = type, .type_len = strlen(type), .data = data, .data_len = strlen(data)};
	int rc;

	buf_truncate(&hub->frame, 0);
	if ((rc = fd->out.log.wire->event(&hub->frame, &ev, NULL)) < 0 ||
	    (rc = feed_append(fd, &hub->frame, false)) < 0)
		return rc;
	outlet_check_slow(&fd->out);
	return 0;
}
