#ifndef SLUICE_BASE_COUNTERS_H
#define SLUICE_BASE_COUNTERS_H

/*
 * counters - one page that all workers share. Each worker has a row in it, and each row has a tally
 * for each route.
 *
 * A worker writes only its own row, so no atomic read-modify-write is needed; readers see each
 * value whole. Gauges return to 0 when a worker's row is given to its successor.
 */
#include <stdbool.h>
#include <stdint.h>

enum counter {
	/* gauges */
	COUNTER_SUBSCRIBERS,
	COUNTER_CONNECTIONS,
	COUNTER_FEEDS,
	COUNTER_SUBJECTS, /* followed in Redis */
	COUNTER_REDIS_UP, /* links that are up */
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
	COUNTER_DROPPED_RESERVED, /* the event's name or id is one that only Sluice may use */
	COUNTER_DROPPED_INVALID, /* an event name with CR, LF or NUL; a message not of JSON where it
				    must be */
	COUNTER_DROPPED_HANDLER, /* the route's logic said DROP */
	COUNTER_DROPPED_MEMORY,
	COUNTER_DROPPED_POISON, /* the message has killed two workers */
	COUNTER_FILTERED,       /* the route's filter was not true */
	COUNTER_FAILED,         /* an expression or script failed, or was stopped */
	COUNTER_RATE_LIMITED,   /* events that were beyond the route's rate, or superseded meanwhile
				 */
	COUNTER_ACKED,   /* entries of queues that Sluice acknowledged; what clients acknowledge by
			    POST is Redis's to count */
	COUNTER_CLAIMED, /* entries that were not acknowledged in time */
	COUNTER_DEAD_LETTERED,
	COUNTER_SLOW,       /* subscribers that fell behind their queue */
	COUNTER_RESETS,     /* stream-reset told, once per feed */
	COUNTER_REDIS_LOST, /* times that a link broke */
	COUNTER_REDIS_FAILOVERS,
	COUNTER_SLOTS_MOVED, /* of a cluster: to another node */
	COUNTER_REDIRECTED,  /* commands that a node of a cluster sent elsewhere, or put off */
	COUNTER_REFUSALS,    /* times that Redis refused what a route asks */
	COUNTER_MAX
};

/* The numbers as status and metrics show them. */
struct counter_text {
	const char *name, *help;
};

extern const struct counter_text counter_texts[COUNTER_MAX];

enum {
	/* the statuses that are counted one by one; the last stands for all others */
	COUNTER_STATUSES = 16,
	COUNTER_BUCKETS = 13, /* steps of the time from Redis to the write; the last stands for all
				 longer times */
};
extern const unsigned short counter_statuses[COUNTER_STATUSES];
extern const uint32_t
    counter_bucket_us[COUNTER_BUCKETS]; /* the upper end of each step, in microseconds; 0: no end */

/* What one route has counted, or all together. */
struct tally {
	uint64_t n[COUNTER_MAX];
	uint64_t refused[COUNTER_STATUSES];
	uint64_t took[COUNTER_BUCKETS]; /* writes, each counted in one step only */
	uint64_t took_us;
	uint64_t refusal_ms; /* when Redis last refused a thing that the route asks for again and
				again; 0: never */
	/*
	 * When Redis last refused, and last answered, a command that is asked only when somebody
	 * needs it.
	 */
	uint64_t reply_refused_ms, reply_given_ms;
	uint64_t lag; /* bytes that the slowest client of any worker has not taken at the moment */
};

/* counters_open - the shared page for n_rows workers. Returns 0 or a negative errno. */
int counters_open(unsigned n_rows);
void counters_use(unsigned row); /* this process's row from now on; its gauges become 0 */
void counters_add(enum counter c, int64_t n);
void counters_sum(uint64_t sum[COUNTER_MAX]); /* over all rows */

/*
 * counters_of - the number of a route's tally, which is the same in all workers. 0, which counts
 * for no route, if name is NULL or there are more than some two hundred names.
 */
unsigned counters_of(const char *route);

/* Counts for one route and for all of them; route 0: for all of them alone. */
void counters_add_of(unsigned route, enum counter c, int64_t n);
void counters_add_route(unsigned route, enum counter c, int64_t n); /* of the route alone */
void counters_refused(unsigned route, unsigned status);
void counters_took(unsigned route, uint64_t us);
void counters_set_lag(unsigned route, uint64_t bytes);
void counters_set_refusal(unsigned route, uint64_t now_ms);
void counters_set_reply(unsigned route, bool is_refused, uint64_t now_ms);

/* counters_tally - over all rows; route 0: all together. */
void counters_tally(unsigned route, struct tally *sum);

#endif
