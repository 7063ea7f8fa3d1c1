#ifndef SLUICE_SOURCE_WAIT_H
#define SLUICE_SOURCE_WAIT_H

/*
 * wait - a client that waits for one event of a feed, for a limited time.
 */
#include <uv.h>

#include "hub/source.h"
#include "redis/past.h"
#include "redis/stream_id.h"
#include "sse/event.h"

struct waiter;

/* For one stream: what lies between the client's place and the feed's. */
struct waiter_part {
	struct past_reading reading;
	struct waiter *w;
	struct stream_id after, to; /* what lies between them has not been looked through yet */
	size_t entry_size;
};

enum waiter_state {
	WAITER_OPENING, /* its feed is not confirmed, so it is not known where the past ends */
	WAITER_PAST,    /* it looks through the past; what comes meanwhile will be part of that */
	WAITER_LIVE     /* what comes next counts */
};

struct waiter_ops {
	/*
	 * Called once: with the first event, which is borrowed; or with NULL when the time is over,
	 * or if the feed's route goes.
	 */
	void (*on_event)(struct waiter *w, const struct event *ev);
	void (*on_closed)(struct waiter *w); /* then w may be freed */
};

/* Embedded by whatever answers the client. The fields belong to wait.c. */
struct waiter {
	struct feed_listener listener; /* of its feed, until it has been told */
	uv_timer_t timer;
	uint64_t until_ms;
	enum waiter_state state;
	unsigned n_pending; /* answers about the past */
	bool has_failed;    /* one of the answers was of no use */
	struct waiter_part parts[STREAM_CURSOR_MAX];
	const struct waiter_ops *ops;
};

/*
 * wait_begin - calls on_event() and then on_closed(), neither before this returns. ms: how long it
 * waits. after: what came behind this id counts, on a feed that can resume; NULL: only what
 * comes from now on. Returns 0; -EINVAL if it is no id, -ENOMEM: then nothing has begun.
 */
int wait_begin(struct waiter *w, struct feed *fd, uint64_t ms, const char *after,
	       const struct waiter_ops *ops);

/* wait_cancel - nobody needs the event any more: on_event is not called; on_closed is, later. */
void wait_cancel(struct waiter *w);

#endif
