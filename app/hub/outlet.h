#ifndef SLUICE_HUB_OUTLET_H
#define SLUICE_HUB_OUTLET_H

/*
 * outlet - a log and its readers: who has read all of it, and who is too slow. It knows nothing of
 * Redis, feeds, handlers or stages. Its owner puts frames into it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/drain.h"
#include "hub/fifo.h"
#include "hub/log.h"
#include "hub/subscriber.h"
#include "hub/turn.h"

struct feed_settings;
struct outlet;
struct wire;

/* In the order of the words of "overflow" in config/keys.c. */
enum overflow { OVERFLOW_DISCONNECT, OVERFLOW_DROP_OLDEST, OVERFLOW_LATEST };
extern const char *const overflow_names[]; /* as users write them; ends with NULL */

/* What all outlets of a worker share. */
struct outlets {
	struct turn turn;
	/* subscribers that have ended, and whose clients must still read the end */
	struct fifo endings;
	struct map watches; /* of subscribers, by their number */
	size_t n_subs;
	struct drain drain;
};

/*
 * What the outlets of one route share: the settings, and the times at which subscribers fall due.
 */
struct outlet_class {
	struct outlets *all;
	const struct outlet_ops *ops;
	const struct feed_settings *settings;
	unsigned counted;      /* the route's tally (base/counters) */
	bool tells_flushed;    /* ops->flushed is called */
	struct fifo lifetimes; /* by when they opened */
	struct fifo idles;    /* subscribers, in the order in which they were last sent a message */
	struct fifo openings; /* subscribers that wait for Redis's confirmation */
};

/*
 * What the owner of an outlet is told about one subscriber. None may be NULL, if it does not say
 * so.
 */
struct outlet_ops {
	/*
	 * A subscriber that reads the log is about to end. The owner may put what it holds back
	 * into the log now, or give it to this subscriber alone.
	 */
	void (*ending)(struct outlet *o, struct subscriber *sub, enum end_reason reason);
	/*
	 * It has gone, and is in no list any more. Its own bytes are those that the client did not
	 * take.
	 */
	void (*left)(struct outlet *o, struct subscriber *sub);
	/*
	 * It is open, and has been written all that it had. Called only for a class that
	 * tells_flushed.
	 */
	void (*flushed)(struct outlet *o, struct subscriber *sub);
};

struct outlet {
	struct outlet_class *class;
	struct log log;
	struct list joined;    /* subscribers that have not ended, in the order of joining */
	struct list caught_up; /* open subscribers that have read all of the log */
	struct heap blocked; /* subscribers that read the log, and whose descriptor takes no more */
	unsigned n_subs;     /* subscribers that have not left */
	unsigned n_waiting;  /* joined subscribers that do not read the log yet */
	unsigned n_lapsed;   /* subscribers that were too slow and have left the log */
	uint32_t n_events;   /* events that were put; the number wraps, only differences count */
	uint64_t lapsed_at;  /* where the lapsed return to the log; held while there are any */
	uint64_t newest;     /* offset of the newest event's frame */
	/* when the newest event's message came from Redis; 0: from elsewhere */
	uint64_t arrived_us;
};

/* outlet_init - the wire writes its frames. */
void outlet_init(struct outlet *o, struct outlet_class *class, const struct wire *wire);
void outlet_fini(struct outlet *o); /* nobody reads it any more */

/*
 * outlet_put - appends a frame for all who are there. is_event: it is not about the stream itself.
 * Afterwards the caller must call outlet_check_slow(). Returns 0, -ENOMEM.
 */
int outlet_put(struct outlet *o, const struct buf *frame, bool is_event);

/*
 * outlet_check_slow - the log has grown: overflow decides what becomes of the subscribers that are
 * too slow now.
 */
void outlet_check_slow(struct outlet *o);

/* One more, or one fewer, has left the log; at is where it stood. */
void outlet_lapsed_joined(struct outlet *o, uint64_t at);
void outlet_lapsed_left(struct outlet *o);

#endif
