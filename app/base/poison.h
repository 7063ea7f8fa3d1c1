#ifndef SLUICE_BASE_POISON_H
#define SLUICE_BASE_POISON_H

/*
 * poison - a message that kills workers: which one each worker has in work, on a page that all
 * share, and which have killed two.
 *
 * A worker writes its own mark before a message goes through a route's logic, and takes it away
 * behind it. The supervisor looks at the mark of one that has died. So nothing is known, and
 * nothing is marked, until poison_open(): in a process that is alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POISON_ROUTE = 128,      /* bytes of a route's name that are kept, with the NUL */
	POISON_SUBJECT = 1025,   /* a longer subject is not marked */
	POISON_ID = 48,          /* of an entry */
	POISON_DATA = 64 * 1024, /* of a message that can be read again from nowhere */
	POISON_DEATHS = 2,       /* so many workers */
	POISON_MAX = 32,         /* messages that are known; beyond, the oldest is forgotten */
};

/* A message on one route. What it points to is borrowed. */
struct poison_work {
	const char *route;
	const char *subject; /* the channel's or stream's name, without the prefix */
	size_t subject_len;
	const char *id; /* of the entry; NULL: it is none, and the data counts */
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
void poison_watch(bool is_watched); /* from now on; at first nothing is */

enum poison_verdict {
	POISON_NONE,
	POISON_UNTOLD, /* it has killed two, and does not stand in the quarantine yet */
	POISON_TOLD,
};

/* poison_begin - this is in work from now on, up to poison_end(), unless it is poison. */
enum poison_verdict poison_begin(const struct poison_work *work);
void poison_end(void);

/*
 * poison_take - one that is to be put into the quarantine: nobody else is given it before
 * poison_put() says what came of it, or this worker dies. NULL: there is none.
 */
const struct poison *poison_take(void);
void poison_put(const struct poison *p, bool is_told);

/*
 * Of the supervisor: a worker has died, of what is said in reason. Returns what it had in work, or
 * NULL; n_deaths is how many workers have died at it.
 */
const struct poison *poison_died(unsigned row, const char *reason, unsigned *n_deaths);

#endif
