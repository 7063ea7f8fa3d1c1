#ifndef SLUICE_BASE_BOARD_H
#define SLUICE_BASE_BOARD_H

/*
 * board - what the processes of one program tell each other, on a page that all share: each worker
 * in a row of its own that it turns and how much it has accepted, the supervisor how things stand.
 *
 * Each value has one writer, so none needs a lock. Until board_open() this process is alone.
 */
#include <stdbool.h>
#include <stdint.h>

/* board_open - before the workers are forked: n of them. Returns 0 or a negative errno. */
int board_open(unsigned n);
void board_use(unsigned row); /* this process is the worker with this number */

/* A worker calls these. */
void board_beat(void);             /* its loop turns */
void board_serve(bool is_serving); /* it takes part in accepting */
void board_accepted(void);         /* one connection more */
void board_redis(bool is_up);      /* its links */
bool board_finish(void); /* it has drained. Have all others, too? At least one is told so */
uint64_t board_others_mark(void); /* changes whenever another worker has accepted one */

/*
 * board_is_ahead - has this worker accepted noticeably more than another that serves? Counted since
 * the last of them began, so that a new one takes its share of what comes, and not more.
 */
bool board_is_ahead(void);

/* The supervisor calls these. */
uint64_t board_beats(unsigned row);
bool board_serves(unsigned row);
void board_begins(unsigned row); /* a worker is to be started: all are level from now on */
void board_left(unsigned row);   /* it has died */

/* How things stand, told by the supervisor and read by all. */
enum board_fact {
	BOARD_DRAINING,  /* since TERM */
	BOARD_SUCCEEDED, /* another program serves the same socket: whoever leaves may come at once
			  */
	BOARD_CRASHING,  /* workers that die again and again as soon as they are started */
	BOARD_HUNG,      /* how often a worker was replaced because it did not turn */
	BOARD_DIED,      /* how often a worker has died otherwise */
	BOARD_POISONS,   /* messages that have killed two workers */
	BOARD_RELOADS,   /* configurations taken over */
	BOARD_REFUSED,   /* configurations refused */
	BOARD_LAST_REFUSED, /* the last one was */
	BOARD_FACTS
};
void board_set(enum board_fact fact, uint64_t value);
uint64_t board_get(enum board_fact fact);

/* Over all workers: how many there are, serve, and have Redis. */
struct board_sum {
	unsigned n_workers, n_serving, n_with_redis;
};
void board_sum(struct board_sum *out);

#endif
