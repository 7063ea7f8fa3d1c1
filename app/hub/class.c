#include "hub/feed.h"

#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "hub/feed_life.h"
#include "hub/feed_logic.h"
#include "hub/feed_within.h"
#include "hub/silence.h"
#include "hub/source.h"

static void
on_beat_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	feed_beat(LIST_ENTRY(node, struct feed, due));
}

static void
on_lifetime_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	subscriber_end(LIST_ENTRY(node, struct subscriber, life), END_LIFETIME);
}

/*
 * A blocked subscriber is not idle if its feed sent something meanwhile, or still holds something
 * for it.
 */
static void
on_idle_due(struct fifo *fifo, struct fifo_node *node)
{
	struct subscriber *sub = LIST_ENTRY(node, struct subscriber, quiet);

	if (sub->n_seen != sub->outlet->n_events || feed_holds(feed_of(sub->outlet)))
		fifo_add(fifo, node);
	else
		subscriber_end(sub, END_IDLE);
}

static void
on_silence_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	feed_abandon(LIST_ENTRY(node, struct feed_logic, silence)->feed);
}

/*
 * Redis does not answer. The client gets the head of its stream and waits: an EventSource that is
 * answered 5xx would never come back.
 */
static void
on_open_wait_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	subscriber_release(LIST_ENTRY(node, struct subscriber, quiet));
}

void
feed_class_init(struct feed_class *fc, struct hub *hub, const struct handler *handler,
		struct feed_settings *settings, const struct feed_kind *kind)
{
	memset(fc, 0, sizeof(*fc));
	fc->hub = hub;
	fc->handler = handler;
	fc->settings = settings;
	fc->out.settings = settings;
	fc->out.all = &hub->outlets;
	fc->out.ops = &feed_outlet_ops;
	fc->out.tells_flushed = kind->flushed != NULL;
	fc->kind = kind;
	fc->out.counted = settings->stages.counted = counters_of(settings->stages.route);
	list_init(&fc->feeds);
	map_init(&fc->by_key);
	list_add_tail(&hub->classes, &fc->of_hub);
	fifo_init(&fc->beats, hub->loop, settings->heartbeat_ms, on_beat_due);
	fifo_init(&fc->out.lifetimes, hub->loop, settings->lifetime_ms, on_lifetime_due);
	fifo_init(&fc->out.idles, hub->loop, settings->idle_ms, on_idle_due);
	fifo_init(&fc->silences, hub->loop, settings->abandoned_ms, on_silence_due);
	fifo_init(&fc->out.openings, hub->loop, settings->open_wait_ms, on_open_wait_due);
	pace_fifos_init(&fc->pace, hub->loop, &settings->pace);
	if (handler->tend != NULL)
		feed_begin_tended(fc);
}

static void
on_timers_closed(struct closing *closing)
{
	struct feed_class *fc = LIST_ENTRY(closing, struct feed_class, closing);

	list_del(&fc->of_hub);
	map_fini(&fc->by_key);
	fc->on_closed(fc);
}

static void
close_timers(struct feed_class *fc)
{
	closing_begin(&fc->closing, on_timers_closed);
	fifo_close_in(&fc->beats, &fc->closing);
	fifo_close_in(&fc->out.lifetimes, &fc->closing);
	fifo_close_in(&fc->out.idles, &fc->closing);
	fifo_close_in(&fc->silences, &fc->closing);
	fifo_close_in(&fc->out.openings, &fc->closing);
	fifo_close_in(&fc->pace.windows, &fc->closing);
	fifo_close_in(&fc->pace.batches, &fc->closing);
}

void
feed_class_close(struct feed_class *fc, enum end_reason reason,
		 void (*on_closed)(struct feed_class *fc))
{
	struct list *node, *tmp;

	fc->is_closing = true;
	fc->on_closed = on_closed;
	fc->on_empty = close_timers;
	if (list_is_empty(&fc->feeds)) {
		close_timers(fc);
		return;
	}
	LIST_FOREACH (node, tmp, &fc->feeds) {
		struct feed *fd = LIST_ENTRY(node, struct feed, of_class);

		feed_end_all(fd, reason);
		feed_tell_listeners(fd, NULL, false);
		if (fd->out.n_subs == 0)
			feed_bury(fd);
	}
}
