#ifndef SLUICE_HUB_PACE_H
#define SLUICE_HUB_PACE_H

/*
 * pace - decides when a feed's events go out: at most so many in a time (rate), several as one
 * (batch). A timer sends what is held back: neither the newest value nor a batch waits for the next
 * message. Windows and batches of one route all last the same time, so each kind is a fifo.
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

/* "10/5s": at most n events in the period. n 0: there is no such stage. */
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
	PACE_WINDOWS_MAX = 10000, /* windows of one feed; if there are more, the oldest is closed */
	/* bytes that they hold; if there are more, the oldest event is sent */
	PACE_HELD_MAX = 16 * 1024 * 1024,
	PACE_BATCH_MAX = 8 * 1024 * 1024, /* a batch that reaches this size is sent at once */
	PACE_TEXT_MAX = 512 * 1024 * 1024 /* to which it may have grown by its last event */
};

/* Windows and batches of one route, in the order in which they were opened. */
struct pace_fifos {
	struct fifo windows, batches;
};

/* What a feed with a rate or a batch holds. */
struct pace {
	const struct pace_settings *settings;
	struct pace_fifos *fifos;
	unsigned counted; /* the route's tally */
	int (*emit)(struct pace *p, const struct event *ev);
	struct map by_key;
	struct list windows; /* the same windows, in the order in which they were first opened */
	unsigned n_windows;
	size_t held; /* bytes */
	struct batch batch;
	struct held_event
	    *newest; /* the newest event of the batch, whose name and id the batch gets */
	struct fifo_node due;
};

void pace_fifos_init(struct pace_fifos *fifos, uv_loop_t *loop, const struct pace_settings *ps);

/*
 * pace_init - emit sends one event to all, now. It returns 0, or the error for which the event is
 * not sent.
 */
void pace_init(struct pace *p, const struct pace_settings *settings, struct pace_fifos *fifos,
	       unsigned counted, int (*emit)(struct pace *p, const struct event *ev));
void pace_clear(struct pace *p); /* nothing is held any more */

/*
 * pace_event - sends, holds or drops an event that is ready, which is borrowed. key is the value of
 * rate_by. is_last: it is sent at once, behind all that is held.
 */
void pace_event(struct pace *p, const struct event *ev, const struct buf *key, bool is_last);

/* pace_holds - is anything held back? */
static inline bool
pace_holds(const struct pace *p)
{
	return p->batch.n > 0 || p->held > 0;
}

/* pace_flush - sends all that is held back. */
void pace_flush(struct pace *p);

/*
 * pace_put_held - appends what pace_flush() would send, for a subscriber that ends; all others get
 * it later. Returns how many events these are; -EMSGSIZE, -ENOMEM: b is as it was.
 */
int pace_put_held(const struct pace *p, const struct wire *wire, struct buf *b);

#endif
