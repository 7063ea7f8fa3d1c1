#ifndef SLUICE_HUB_OUTLET_H
#define SLUICE_HUB_OUTLET_H

/*
 * outlet - a log, and those who read it: who has had all, who is too slow. It knows nothing of
 * Redis, of feeds, handlers or stages; whose outlet it is puts frames into it.
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
extern const char *const overflow_names[]; /* as a user writes them; ends with NULL */

/* What all outlets of a worker share. */
struct outlets {
	struct turn turn;
	struct fifo endings; /* subscribers that have ended, and whose clients are to read it */
	struct map watches;  /* of subscribers, by their number */
	size_t n_subs;
	struct drain drain;
};

/* What the outlets of one route share: what its section says, and when subscribers fall due. */
struct outlet_class {
	struct outlets *all;
	const struct feed_settings *settings;
	unsigned counted;      /* the route's tally (base/counters) */
	struct fifo lifetimes; /* by when they opened */
	struct fifo idles;     /* by when they were last sent a message */
	struct fifo openings;  /* that wait for Redis to confirm */
};

/* Whose outlet it is, told of one subscriber. None may be NULL. */
struct outlet_ops {
	/* It reads the log, and ends: what is held for later may be put, or given to it alone. */
	void (*ending)(struct outlet *o, struct subscriber *sub, enum end_reason reason);
	/* It has gone, and is in no list any more; its own bytes are those that it did not take. */
	void (*left)(struct outlet *o, struct subscriber *sub);
};

struct outlet {
	struct outlet_class *class;
	const struct outlet_ops *ops;
	/* An open subscriber was written all that it had. NULL: nobody asks, which is usual. */
	void (*flushed)(struct outlet *o, struct subscriber *sub);
	struct log log;
	struct list joined;    /* subscribers that have not ended, in the order of joining */
	struct list caught_up; /* open subscribers that have read all of the log */
	struct heap blocked;   /* who reads the log, and whose descriptor takes no more */
	unsigned n_subs;       /* who has not left */
	unsigned n_waiting;    /* of them, who does not read the log yet */
	unsigned n_lapsed;     /* of whom so much waited that they have left the log */
	uint64_t lapsed_at;    /* where they return to it; held while there are any */
	uint64_t over_at;      /* up to here who was there is sent it, and ends */
	enum end_reason over_reason;
	uint32_t n_events;   /* that were put; it wraps, and only differences count */
	uint64_t newest;     /* offset of the newest event's frame */
	uint64_t arrived_us; /* when what it was made of came from Redis; 0: from elsewhere */
};

/* outlet_init - the wire writes its frames. */
void outlet_init(struct outlet *o, struct outlet_class *class, const struct outlet_ops *ops,
		 const struct wire *wire);
void outlet_fini(struct outlet *o); /* nobody reads it any more */

/*
 * outlet_put - a frame for all who are there; is_event: not one about the stream itself. What else
 * it means for them the caller sees to, and then says outlet_check_slow(). Returns 0, -ENOMEM.
 */
int outlet_put(struct outlet *o, const struct buf *frame, bool is_event);

/* outlet_check_slow - the log has grown: whoever is too slow now is told so, as overflow says. */
void outlet_check_slow(struct outlet *o);

/* One more, or fewer, who has left the log; at is where it stood. */
void outlet_lapsed_joined(struct outlet *o, uint64_t at);
void outlet_lapsed_left(struct outlet *o);

#endif
