#include "base/counters.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* A row has cache lines of its own, so that no worker slows another down by counting. */
struct row {
	_Alignas(64) uint64_t n[COUNTER_MAX];
};

const char *const counter_names[COUNTER_MAX] = {
    [COUNTER_SUBSCRIBERS] = "subscribers",
    [COUNTER_CONNECTIONS] = "connections",
    [COUNTER_FEEDS] = "feeds",
    [COUNTER_SUBJECTS] = "subjects",
    [COUNTER_REDIS_UP] = "redis_links",
    [COUNTER_REQUESTS] = "requests",
    [COUNTER_REQUESTS_REFUSED] = "requests_refused",
    [COUNTER_RECORDS_REFUSED] = "records_refused",
    [COUNTER_MESSAGES] = "messages",
    [COUNTER_PUBLISHED] = "published",
    [COUNTER_RENDERED] = "rendered",
    [COUNTER_EVENTS] = "events",
    [COUNTER_REPLAYED] = "replayed",
    [COUNTER_DELIVERIES] = "deliveries",
    [COUNTER_BYTES] = "bytes",
    [COUNTER_UTF8_REPLACED] = "utf8_replaced",
    [COUNTER_DROPPED_RESERVED] = "dropped_reserved",
    [COUNTER_DROPPED_INVALID] = "dropped_invalid",
    [COUNTER_DROPPED_HANDLER] = "dropped_handler",
    [COUNTER_DROPPED_MEMORY] = "dropped_memory",
    [COUNTER_FILTERED] = "filtered",
    [COUNTER_FAILED] = "failed",
    [COUNTER_RATE_LIMITED] = "rate_limited",
    [COUNTER_ACKED] = "acked",
    [COUNTER_CLAIMED] = "claimed",
    [COUNTER_DEAD_LETTERED] = "dead_lettered",
    [COUNTER_SLOW] = "slow",
    [COUNTER_RESETS] = "resets",
    [COUNTER_REDIS_LOST] = "redis_lost",
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
