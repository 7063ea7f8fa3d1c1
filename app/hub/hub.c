#include "hub/hub.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "hub/feed_life.h"
#include "hub/feed_state.h"
#include "hub/feed_within.h"
#include "redis/past.h"

enum {
	DRAIN_TICK_MS = 20,
	FRAME_MAX = 512 * 1024 * 1024, /* Redis's own limit of a message */
	FRAME_KEPT = 1024 * 1024,      /* a larger buffer is given back */
	NAME_MAX_LEN = 8192,
};

int
hub_set_redis(struct hub *hub, struct topology *tp)
{
	return subjects_set_redis(hub->subjects, tp);
}

void
hub_set_command(struct hub *hub, struct command *command)
{
	hub->command = command;
	subjects_set_command(hub->subjects, command);
	past_set_command(hub->past, command);
}

struct command *
hub_command(const struct hub *hub)
{
	return hub->command;
}

const struct redis_settings *
hub_redis(const struct hub *hub)
{
	return subjects_redis(hub->subjects);
}

const char *
hub_prefix(const struct hub *hub)
{
	return subjects_prefix(hub->subjects);
}

/* Notices */

static void
on_notice(struct subscription *sn, struct message *msg, const struct stream_id *id)
{
	struct hub *hub = LIST_ENTRY(sn, struct hub, noticed);

	(void)id;
	hub->notice(hub->notice_arg, msg->data, msg->data_len);
}

static void
on_notice_confirmed(struct subscription *sn)
{
	(void)sn; /* messages before this moment concern nobody */
}

static void
on_notice_refused(struct subscription *sn, const char *why)
{
	static struct logger_pause pause;

	if (logger_may(&pause, uv_now(LIST_ENTRY(sn, struct hub, noticed)->loop), LOGGER_PERIOD_MS))
		logger_warn("Redis refuses a subscription to %s: %s", subscription_name(sn), why);
}

static const struct subscription_ops notice_ops = {
    .on_message = on_notice,
    .on_confirmed = on_notice_confirmed,
    .on_lost = on_notice_confirmed,
    .on_refused = on_notice_refused,
};

int
hub_notice(struct hub *hub, const char *name, hub_notice_fn fn, void *arg)
{
	subjects_leave(hub->subjects, &hub->noticed);
	if (name == NULL)
		return 0;
	hub->noticed.ops = &notice_ops;
	hub->notice = fn;
	hub->notice_arg = arg;
	return subjects_follow(hub->subjects, &hub->noticed, SUBJECT_CHANNEL, name);
}

/* The turn's end */

static void
free_dead(struct hub *hub)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &hub->dead)
		feed_free(LIST_ENTRY(node, struct feed, due.node));
}

static void
on_turn_end(struct turn *turn)
{
	struct hub *hub = LIST_ENTRY(turn, struct hub, outlets.turn);

	free_dead(hub);
	if (hub->frame.alloc > FRAME_KEPT)
		buf_fini(&hub->frame);
}

/* The client has not read the end of its stream in time. */
static void
on_ending_due(struct fifo *fifo, struct fifo_node *node)
{
	struct subscriber *sub = LIST_ENTRY(node, struct subscriber, life);

	(void)fifo;
	sub->ops->abort(sub);
}

static void
on_linger_due(struct fifo *fifo, struct fifo_node *node)
{
	(void)fifo;
	feed_bury(LIST_ENTRY(node, struct feed, due));
}

int
hub_new(struct hub **out, uv_loop_t *loop, struct topology *tp)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	int rc;

	if (hub == NULL)
		return -ENOMEM;
	hub->loop = hub->outlets.drain.loop = loop;
	list_init(&hub->classes);
	list_init(&hub->parts);
	map_init(&hub->outlets.watches);
	list_init(&hub->dead);
	buf_init(&hub->frame, FRAME_MAX);
	buf_init(&hub->type, NAME_MAX_LEN);
	buf_init(&hub->id, NAME_MAX_LEN);
	buf_init(&hub->key, NAME_MAX_LEN);
	rendering_init(&hub->rendering);
	if ((rc = past_new(&hub->past, loop)) < 0 ||
	    (rc = subjects_new(&hub->subjects, loop, tp, &hub->outlets.turn)) < 0) {
		past_free(hub->past);
		free(hub);
		return rc;
	}
	fifo_init(&hub->lingering, loop, FEED_LINGER_MS, on_linger_due);
	fifo_init(&hub->outlets.endings, loop, END_LINGER_MS, on_ending_due);
	turn_init(&hub->outlets.turn, loop, on_turn_end);
	uv_timer_init(loop, &hub->drain);
	*out = hub;
	return 0;
}

/* Ends up to n subscribers that have not ended yet. */
static void
end_some(struct hub *hub, size_t n)
{
	struct list *class, *node;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);

		for (node = fc->feeds.next; node != &fc->feeds; node = node->next) {
			struct feed *fd = LIST_ENTRY(node, struct feed, of_class);

			while (!list_is_empty(&fd->out.joined)) {
				if (n-- == 0)
					return;
				subscriber_end(
				    LIST_ENTRY(fd->out.joined.next, struct subscriber, joined),
				    END_DRAIN);
			}
		}
	}
}

/*
 * Requests that wait for one message are answered that none came. That is better than a broken
 * connection.
 */
static void
end_waits(struct hub *hub)
{
	struct list *class, *node, *tmp;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);

		LIST_FOREACH (node, tmp, &fc->feeds) {
			struct feed *fd = LIST_ENTRY(node, struct feed, of_class);

			feed_tell_listeners(fd, NULL, false);
		}
	}
}

/* The share of the subscribers that have ended must be the share of the time that has passed. */
static void
on_drain_tick(uv_timer_t *timer)
{
	struct hub *hub = LIST_ENTRY(timer, struct hub, drain);
	uint64_t passed = drain_passed_ms(&hub->outlets.drain), ms = hub->outlets.drain.ms, due;

	if (passed < ms) {
		due = hub->drain_total * passed / ms;
		end_some(hub, due - hub->drain_done);
		hub->drain_done = due;
	} else {
		end_some(hub, SIZE_MAX);
		end_waits(hub);
	}
}

void
hub_drain(struct hub *hub, uint64_t ms, bool is_succeeded)
{
	drain_begin(&hub->outlets.drain, ms, is_succeeded);
	hub->drain_total = hub->outlets.n_subs;
	hub->drain_done = 0;
	uv_timer_start(&hub->drain, on_drain_tick, 0, DRAIN_TICK_MS);
}

void
hub_count_lags(struct hub *hub)
{
	struct list *class, *node;

	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);
		uint64_t most = 0, lag;

		for (node = fc->feeds.next; node != &fc->feeds; node = node->next) {
			struct feed *fd = LIST_ENTRY(node, struct feed, of_class);
			struct heap_node *slowest = heap_first(&fd->out.blocked);

			lag = slowest != NULL ? fd->out.log.end - slowest->key : 0;
			most = lag > most ? lag : most;
		}
		counters_set_lag(fc->out.counted, most);
	}
}

void
hub_refuse_new(struct hub *hub, bool is_full)
{
	hub->is_full = is_full;
}

bool
hub_takes_streams(const struct hub *hub, enum end_reason *why)
{
	*why = hub->outlets.drain.is_draining ? END_DRAIN : END_SLOW;
	return !hub->outlets.drain.is_draining && !hub->is_full;
}

unsigned
hub_return_ms(const struct hub *hub, unsigned usual_ms)
{
	return drain_return_ms(&hub->outlets.drain, usual_ms);
}

void
hub_on_event(struct hub *hub, hub_event_fn fn)
{
	hub->on_event = fn;
}

bool
hub_redis_is_up(const struct hub *hub)
{
	return subjects_are_up(hub->subjects);
}

size_t
hub_n_subscribers(const struct hub *hub)
{
	return hub->outlets.n_subs;
}

static void
on_closed(struct closing *closing)
{
	struct hub *hub = LIST_ENTRY(closing, struct hub, closing);
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &hub->parts) {
		struct hub_part *part = LIST_ENTRY(node, struct hub_part, of_hub);

		part->ops->free(part);
	}
	buf_fini(&hub->frame);
	buf_fini(&hub->type);
	buf_fini(&hub->id);
	buf_fini(&hub->key);
	rendering_fini(&hub->rendering);
	map_fini(&hub->outlets.watches);
	free(hub);
}

void
hub_free(struct hub *hub)
{
	struct list *node, *tmp;

	if (hub == NULL)
		return;
	assert(list_is_empty(&hub->classes));
	(void)hub_notice(hub, NULL, NULL, NULL);
	subjects_free(hub->subjects);
	past_free(hub->past);
	closing_begin(&hub->closing, on_closed);
	fifo_close_in(&hub->lingering, &hub->closing);
	fifo_close_in(&hub->outlets.endings, &hub->closing);
	turn_close(&hub->outlets.turn, &hub->closing);
	LIST_FOREACH (node, tmp, &hub->parts) {
		struct hub_part *part = LIST_ENTRY(node, struct hub_part, of_hub);

		part->ops->close(part, &hub->closing);
	}
	closing_add(&hub->closing, (uv_handle_t *)&hub->drain);
}
