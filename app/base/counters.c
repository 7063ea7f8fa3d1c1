#include "base/counters.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* A row has cache lines of its own, so that no worker slows another down by counting. */
struct row {
	_Alignas(64) uint64_t n[COUNTER_MAX];
};

const struct counter_text counter_texts[COUNTER_MAX] = {
    [COUNTER_SUBSCRIBERS] = {"subscribers", "open streams"},
    [COUNTER_CONNECTIONS] = {"connections", "connections of web servers"},
    [COUNTER_FEEDS] = {"feeds", "feeds, each the work that subscribers share"},
    [COUNTER_SUBJECTS] = {"subjects", "channels, patterns and streams followed in Redis"},
    [COUNTER_REDIS_UP] = {"redis_links", "links to Redis that are up, two for each worker"},
    [COUNTER_SENTINELS_UP] = {"sentinel_links", "links to sentinels that are up"},
    [COUNTER_REQUESTS] = {"requests", "requests"},
    [COUNTER_REQUESTS_REFUSED] = {"requests_refused",
				  "requests answered with a status of 400 or more"},
    [COUNTER_RECORDS_REFUSED] = {"records_refused",
				 "connections closed for a malformed FastCGI record"},
    [COUNTER_MESSAGES] = {"messages", "messages from Redis"},
    [COUNTER_PUBLISHED] = {"published", "messages published by POST"},
    [COUNTER_RENDERED] = {"rendered",
			  "messages that went through a route's logic and came out, once per feed"},
    [COUNTER_EVENTS] = {"events", "events encoded, once per feed"},
    [COUNTER_REPLAYED] = {"replayed", "events of the past, sent to one subscriber"},
    [COUNTER_DELIVERIES] = {"deliveries", "events written, once per subscriber"},
    [COUNTER_BYTES] = {"bytes", "bytes written to subscribers"},
    [COUNTER_UTF8_REPLACED] = {"utf8_replaced", "bytes that were no UTF-8 and were replaced"},
    [COUNTER_DROPPED_RESERVED] = {"dropped_reserved",
				  "messages dropped for an event name or id that is ours"},
    [COUNTER_DROPPED_INVALID] = {"dropped_invalid",
				 "messages dropped for an event name with a line end, or for not "
				 "being JSON where they must"},
    [COUNTER_DROPPED_HANDLER] = {"dropped_handler", "messages that a handler dropped"},
    [COUNTER_DROPPED_MEMORY] = {"dropped_memory", "messages dropped for lack of memory"},
    [COUNTER_FILTERED] = {"filtered", "messages for which a filter was not true"},
    [COUNTER_FAILED] = {"failed", "expressions and scripts that failed or were stopped"},
    [COUNTER_RATE_LIMITED] = {"rate_limited",
			      "events beyond a route's rate, or superseded meanwhile"},
    [COUNTER_ACKED] = {"acked", "entries of queues acknowledged by Sluice"},
    [COUNTER_CLAIMED] = {"claimed",
			 "entries of queues given to another for want of an acknowledgement"},
    [COUNTER_DEAD_LETTERED] = {"dead_lettered", "entries of queues delivered too often"},
    [COUNTER_SLOW] = {"slow", "times that a subscriber fell behind its queue"},
    [COUNTER_RESETS] = {"resets", "times that stream-reset was told, once per feed"},
    [COUNTER_REDIS_LOST] = {"redis_lost", "times that a link to Redis broke"},
    [COUNTER_REDIS_FAILOVERS] = {"redis_failovers",
				 "times that a worker moved to another server of Redis"},
    [COUNTER_REFUSALS] = {"redis_refusals", "times that Redis refused what a route asks"},
};

/* Until counters_open() there is one row, of this process alone. */
static struct row private_row;
static struct row *rows = &private_row;
static struct row *own = &private_row;
static unsigned n_rows = 1;

int
counters_open(unsigned n)
{
	void *p = mmap(NULL, n * sizeof(struct row), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	rows = own = p;
	n_rows = n;
	return 0;
}

void
counters_use(unsigned row)
{
	int c;

	own = &rows[row];
	for (c = 0; c < COUNTER_GAUGES; c++)
		__atomic_store_n(&own->n[c], 0, __ATOMIC_RELAXED);
}

void
counters_add(enum counter c, int64_t n)
{
	uint64_t now = __atomic_load_n(&own->n[c], __ATOMIC_RELAXED);

	__atomic_store_n(&own->n[c], now + (uint64_t)n, __ATOMIC_RELAXED);
}

void
counters_sum(uint64_t sum[COUNTER_MAX])
{
	unsigned r;
	int c;

	memset(sum, 0, COUNTER_MAX * sizeof(sum[0]));
	for (r = 0; r < n_rows; r++) {
		for (c = 0; c < COUNTER_MAX; c++)
			sum[c] += __atomic_load_n(&rows[r].n[c], __ATOMIC_RELAXED);
	}
}
