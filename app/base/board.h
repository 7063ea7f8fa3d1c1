#ifndef SLUICE_BASE_BOARD_H
#define SLUICE_BASE_BOARD_H

/*
 * board - what the processes of one program tell each other, on a page that they all share. Each
 * worker has a row of its own; there it says that its loop turns and how much it has accepted. The
 * supervisor says how things stand. Each value has one writer, so none needs a lock.
 * Until board_open() is called, this process is alone.
 */
#include <stdbool.h>
#include <stdint.h>

/* board_open - before the workers are forked: n of them. Returns 0 or a negative errno. */
int board_open(unsigned n);
void board_use(unsigned row); /* this process is the worker with this number */

/* A worker calls these. */
void board_beat(void);             /* its loop turns */
void board_serve(bool is_serving); /* it takes part in accepting */
void board_accepted(void);         /* it has accepted one connection more */
void board_redis(bool is_up);      /* are its links to Redis up? */
bool
board_finish(void); /* It has drained. Have all others, too? At least one worker is told true. */
uint64_t board_others_mark(
    void); /* a number that changes whenever another worker has accepted a connection */

/*
 * board_is_ahead - has this worker accepted noticeably more than another one that serves? The count
 * begins anew when a worker begins, so that a new worker takes its share of what comes, and not
 * more.
 */
bool board_is_ahead(void);

/* The supervisor calls these. */
uint64_t board_beats(unsigned row);
bool board_serves(unsigned row);
void board_begins(unsigned row); /* a worker is to be started: from now on all count from 0 */
void board_left(unsigned row);   /* it has died */

/* How things stand. The supervisor writes these, and everybody reads them. */
enum board_fact {
	BOARD_DRAINING,     /* TERM has come */
	BOARD_SUCCEEDED,    /* another program serves the same socket, so clients that are sent away
			       may come back at once */
	BOARD_CRASHING,     /* workers die again and again as soon as they are started */
	BOARD_HUNG,         /* how often a worker was replaced because its loop did not turn */
	BOARD_DIED,         /* how often a worker has died otherwise */
	BOARD_POISONS,      /* messages that have killed two workers */
	BOARD_RELOADS,      /* configurations taken over */
	BOARD_REFUSED,      /* configurations refused */
	BOARD_LAST_REFUSED, /* was the newest configuration refused? */
	BOARD_FACTS
};
void board_set(enum board_fact fact, uint64_t value);
uint64_t board_get(enum board_fact fact);

/* Over all workers: how many there are, how many serve, how many have both links to Redis. */
struct board_sum {
	unsigned n_workers, n_serving, n_with_redis;
};
void board_sum(struct board_sum *out);

#endif
