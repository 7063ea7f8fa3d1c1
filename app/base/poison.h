#ifndef SLUICE_BASE_POISON_H
#define SLUICE_BASE_POISON_H

/*
 * poison - messages that kill workers. On a page that all processes share stands which message each
 * worker is working on, and which messages have killed two workers.
 *
 * A worker writes its mark before a message goes through a route's logic, and removes it
 * afterwards. The supervisor reads the mark of a worker that has died. Before poison_open() nothing
 * is marked: then this process is alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POISON_ROUTE = 128,    /* bytes that are kept of a route's name, with the NUL */
	POISON_SUBJECT = 1025, /* a message on a longer subject is not marked */
	POISON_ID = 48,        /* of an entry */
	/* bytes that are kept of a message that cannot be read again from anywhere */
	POISON_DATA = 64 * 1024,
	POISON_DEATHS = 2, /* so many workers */
	POISON_MAX = 32,   /* messages that are known; if there are more, the oldest is forgotten */
	POISON_FORGET_MS = 3600 * 1000, /* so is one that has killed one worker and none since */
};

/* A message on one route. What it points to is borrowed. */
struct poison_work {
	const char *route;
	const char *subject; /* the channel's or stream's name, without the prefix */
	size_t subject_len;
	const char *id; /* of the entry; NULL: it is no entry, and the data tells messages apart */
	size_t id_len;
	const char *data;
	size_t data_len;
	bool is_recorded; /* the entry stands in the channel's log */
};

/* One that is kept. */
struct poison {
	uint32_t subject_len, id_len;
	uint32_t kept_len; /* of data */
	bool is_recorded;
	uint64_t data_len; /* of which at most POISON_DATA are kept; 0 for an entry */
	char route[POISON_ROUTE], subject[POISON_SUBJECT], id[POISON_ID]; /* end with a NUL */
	char reason[64];
	char data[POISON_DATA];
};

/* poison_open - before the workers are forked: n of them. Returns 0 or a negative errno. */
int poison_open(unsigned n);
void poison_use(unsigned row); /* this process is the worker with this number */

/* A worker calls these. */
void poison_watch(bool is_watched); /* are marks written? Before the first call they are not */

enum poison_verdict {
	POISON_NONE,
	POISON_UNTOLD, /* it has killed two workers, and does not stand in the quarantine yet */
	POISON_TOLD,
};

/*
 * poison_begin - this message is being worked on from now on, until poison_end(), unless it is
 * poison.
 */
enum poison_verdict poison_begin(const struct poison_work *work);
void poison_end(void);

/*
 * poison_take - a message that is to be put into the quarantine, or NULL. No other worker is given
 * it, until poison_put() says whether it was written, or this worker dies.
 */
const struct poison *poison_take(void);
void poison_put(const struct poison *p, bool is_told);

/*
 * The supervisor calls this when a worker has died; reason says of what. Returns what the worker
 * was working on, or NULL; n_deaths is how many workers have died of that, each of them less than
 * POISON_FORGET_MS after the one before.
 */
const struct poison *
poison_died(unsigned row, const char *reason, uint64_t now_ms, unsigned *n_deaths);

#endif
