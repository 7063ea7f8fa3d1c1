#ifndef SLUICE_HUB_PACE_H
#define SLUICE_HUB_PACE_H

/*
 * pace - when a feed's events go out: at most so many in a time (rate), several as one (batch).
 *
 * What is held goes out by a timer: neither the newest value nor a batch waits for the
 * next message. Windows and batches of one route all last the same, so each is a fifo.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "hub/fifo.h"
#include "logic/batch.h"
#include "logic/template.h"
#include "sse/event.h"

struct wire;

enum rate_mode { RATE_DROP, RATE_LATEST };
extern const char *const rate_mode_names[]; /* as a user writes them; ends with NULL */

/* "10/5s": so many, in so long. n 0: no such stage. */
struct pace_limit {
	unsigned n;
	uint64_t period_ms;
};

struct pace_settings {
	struct pace_limit rate;
	enum rate_mode rate_mode;
	struct template *rate_by; /* NULL: one window for all */
	struct pace_limit batch;
};

enum {
	PACE_WINDOWS_MAX = 10000,         /* of one feed: beyond, the oldest is closed */
	PACE_HELD_MAX = 16 * 1024 * 1024, /* bytes that it holds for them: beyond, the oldest goes
					     out */
	PACE_BATCH_MAX = 8 * 1024 * 1024, /* a batch of so many bytes goes out at once */
	PACE_TEXT_MAX = 512 * 1024 * 1024 /* and may have grown to as many by its last event */
};

/* Of one route: windows and batches, by when they opened. */
struct pace_fifos {
	struct fifo windows, batches;
};

/* What a feed of such a route holds. */
struct pace {
	const struct pace_settings *settings;
	struct pace_fifos *fifos;
	unsigned counted; /* the route's tally */
	int (*emit)(struct pace *p, const struct event *ev);
	struct map by_key;
	struct list windows; /* the same, in the order in which they opened first */
	unsigned n_windows;
	size_t held; /* bytes */
	struct batch batch;
	struct held *newest; /* of the batch: whose name and id it gets */
	struct fifo_node due;
};

void pace_fifos_init(struct pace_fifos *fifos, uv_loop_t *loop, const struct pace_settings *ps);

/* pace_init - emit sends one event to all, now: 0, or the error for which it is not sent. */
void pace_init(struct pace *p, const struct pace_settings *settings, struct pace_fifos *fifos,
	       unsigned counted, int (*emit)(struct pace *p, const struct event *ev));
void pace_clear(struct pace *p); /* nothing is held any more */

/*
 * pace_event - an event that is ready, which is borrowed: send it, hold it or drop it. key is what
 * rate_by says of it. is_last: it goes out at once, and all that is held before it.
 */
void pace_event(struct pace *p, const struct event *ev, const struct buf *key, bool is_last);

/* pace_holds - is anything still to be sent? */
static inline bool
pace_holds(const struct pace *p)
{
	return p->batch.n > 0 || p->held > 0;
}

/* pace_flush - send all that is held. */
void pace_flush(struct pace *p);

/*
 * pace_put_held - append what pace_flush() would send, for one who will not be there any more; all
 * others have it later. Returns how many events these are; -EMSGSIZE, -ENOMEM: b is as it was.
 */
int pace_put_held(const struct pace *p, const struct wire *wire, struct buf *b);

#endif
