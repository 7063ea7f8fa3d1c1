#ifndef SLUICE_BASE_COUNTERS_H
#define SLUICE_BASE_COUNTERS_H

/*
 * counters - one page that all workers share, a row for each.
 *
 * A worker writes only its own row, so no atomic read-modify-write is needed;
 * readers see each value whole. Gauges return to 0 when a worker's row is
 * given to its successor.
 */
#include <stdint.h>

enum counter {
	/* gauges */
	COUNTER_SUBSCRIBERS,
	COUNTER_CONNECTIONS,
	COUNTER_FEEDS,
	COUNTER_SUBJECTS, /* subscribed in Redis */
	COUNTER_REDIS_UP, /* links that are up: 0 to 2 a worker */
	COUNTER_SENTINELS_UP,
	COUNTER_GAUGES, /* the first that is no gauge */
	/* sums since start */
	COUNTER_REQUESTS = COUNTER_GAUGES,
	COUNTER_REQUESTS_REFUSED, /* answered with a status of 400 or more */
	COUNTER_RECORDS_REFUSED,  /* connections closed for a malformed FastCGI record */
	COUNTER_MESSAGES,         /* from Redis */
	COUNTER_PUBLISHED,        /* by POST */
	COUNTER_RENDERED,         /* went through a route's logic and came out, once per feed */
	COUNTER_EVENTS,           /* encoded, once per feed */
	COUNTER_REPLAYED,         /* events of the past, sent to one subscriber */
	COUNTER_DELIVERIES,       /* events written, once per subscriber */
	COUNTER_BYTES,            /* written to subscribers */
	COUNTER_UTF8_REPLACED,
	COUNTER_DROPPED_RESERVED, /* an event name or id that is ours */
	COUNTER_DROPPED_INVALID, /* an event name with CR, LF or NUL; a message not of JSON where it
				    must be */
	COUNTER_DROPPED_HANDLER, /* the route's logic said DROP */
	COUNTER_DROPPED_MEMORY,
	COUNTER_FILTERED,     /* the route's filter was not true */
	COUNTER_FAILED,       /* an expression or script failed, or was stopped */
	COUNTER_RATE_LIMITED, /* events that were beyond the route's rate, or superseded meanwhile
			       */
	COUNTER_ACKED,        /* entries of queues, by us; those that clients POST are Redis's */
	COUNTER_CLAIMED,      /* entries that were not acknowledged in time */
	COUNTER_DEAD_LETTERED,
	COUNTER_SLOW,       /* subscribers that fell behind their queue */
	COUNTER_RESETS,     /* stream-reset told, once per feed */
	COUNTER_REDIS_LOST, /* times that a link broke */
	COUNTER_REDIS_FAILOVERS,
	COUNTER_REFUSALS, /* times that Redis refused what a route asks */
	COUNTER_MAX
};

/* As status and metrics have them. */
struct counter_text {
	const char *name, *help;
};

extern const struct counter_text counter_texts[COUNTER_MAX];

/* counters_open - the shared page for n_rows workers. Returns 0 or a negative errno. */
int counters_open(unsigned n_rows);
void counters_use(unsigned row); /* this process's row from now on; its gauges become 0 */
void counters_add(enum counter c, int64_t n);
void counters_sum(uint64_t sum[COUNTER_MAX]); /* over all rows */

#endif
