#ifndef SLUICE_HUB_WAIT_H
#define SLUICE_HUB_WAIT_H

/*
 * wait - a client that wants one event of a feed, for so long.
 */
#include <uv.h>

#include "base/list.h"
#include "redis/past.h"
#include "redis/stream_id.h"
#include "sse/event.h"

struct feed;

/* One stream whose past it is asked for. */
struct wait_part {
	struct past_reading reading;
	struct waiter *waiter;
	size_t entry_size; /* bytes, as far as is known */
};

/* A part of whatever answers the client. The fields are wait's. */
struct waiter {
	struct list of_feed; /* more->waiters; in none once it has been told */
	struct feed *feed;
	uv_timer_t timer;
	struct stream_id after[STREAM_CURSOR_MAX];
	struct wait_part parts[STREAM_CURSOR_MAX];
	bool has_after;
	bool needs_past;    /* it is to be asked for before anything that comes counts */
	bool is_dirty;      /* something came while the past was asked for: it stands there, too */
	unsigned n_pending; /* questions about the past */
	void (*on_event)(struct waiter *w, const struct event *ev);
	void (*on_closed)(struct waiter *w);
};

/*
 * wait_begin - on_event is called once, never before this returns: with the first event, which is
 * borrowed, or NULL after ms, or if the feed's route goes. Later on_closed: w may be freed. after:
 * what came behind this id counts, on a feed that can resume; NULL: only what comes from now on.
 * Returns 0; -EINVAL for an id that is none, -ENOMEM: then nothing has begun.
 */
int wait_begin(struct waiter *w, struct feed *fd, uint64_t ms, const char *after,
	       void (*on_event)(struct waiter *w, const struct event *ev),
	       void (*on_closed)(struct waiter *w));

/* wait_cancel - nobody wants it any more: on_event is not called; on_closed is, later. */
void wait_cancel(struct waiter *w);

#endif
