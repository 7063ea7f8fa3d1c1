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
#include "hub/log.h"

struct turn;
struct wire;

/* In the order of the words of "overflow" in config/keys.c. */
enum overflow { OVERFLOW_DISCONNECT, OVERFLOW_DROP_OLDEST, OVERFLOW_LATEST };

struct outlet {
	struct turn *turn;
	size_t queue; /* bytes that may wait for one */
	enum overflow overflow;
	struct log log;
	struct list joined;    /* subscribers that have not ended, in the order of joining */
	struct list caught_up; /* open subscribers that have read all of the log */
	struct heap blocked;   /* who reads the log, and whose descriptor takes no more */
	unsigned n_lapsed;     /* of whom so much waited that they have left the log */
	uint64_t lapsed_at;    /* where they return to it; held while there are any */
	uint32_t n_events;     /* that were put; it wraps, and only differences count */
	uint64_t newest;       /* offset of the newest event's frame */
	uint64_t arrived_us;   /* when what it was made of came from Redis; 0: from elsewhere */
};

/* outlet_init - the wire writes its frames; the turn writes whoever has something to be sent. */
void outlet_init(struct outlet *o, const struct wire *wire, struct turn *turn, size_t queue,
		 enum overflow overflow);
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
