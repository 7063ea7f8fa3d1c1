#include "base/counters.h"

#include <string.h>

#include "base/shared.h"

enum { ROUTES = 256 };

/* A row has cache lines of its own, so that no worker slows another down by counting. */
struct counters_row {
	_Alignas(64) struct tally of[ROUTES]; /* the first is of all together */
};

struct counters_page {
	uint64_t routes[ROUTES]; /* a hash of each route's name; 0: the place is free. The first
				    place is never taken */
	struct counters_row rows[];
};

const unsigned short counter_statuses[COUNTER_STATUSES] = {400, 401, 403, 404, 405, 408, 413, 414,
							   415, 422, 429, 431, 500, 503, 504, 0};

const uint32_t counter_bucket_us[COUNTER_BUCKETS] = {
    250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000, 0};

const struct counter_text counter_texts[COUNTER_MAX] = {
    [COUNTER_SUBSCRIBERS] = {"subscribers", "open streams"},
    [COUNTER_CONNECTIONS] = {"connections", "connections of web servers"},
    [COUNTER_FEEDS] = {"feeds", "feeds, each the work that subscribers share"},
    [COUNTER_SUBJECTS] = {"subjects", "channels, patterns and streams followed in Redis"},
    [COUNTER_REDIS_UP] =
	{"redis_links",
	 "links to Redis that are up: two for each worker, and those that follow streams"},
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
    [COUNTER_DROPPED_POISON] = {"dropped_poison",
				"times that a message was left out which has killed two workers"},
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
    [COUNTER_SLOTS_MOVED] = {"redis_slots_moved",
			     "slots of a cluster that a worker found at another node"},
    [COUNTER_REDIRECTED] = {"redis_redirected",
			    "commands that a node of a cluster sent elsewhere or put off"},
    [COUNTER_REFUSALS] = {"redis_refusals", "times that Redis refused what a route asks"},
};

/* Until counters_open() there is one row, of this process alone. */
static struct {
	uint64_t routes[ROUTES];
	struct counters_row row;
} alone;
static uint64_t *routes = alone.routes;
static struct counters_row *rows = &alone.row;
static struct counters_row *own = &alone.row;
static unsigned n_rows = 1;

int
counters_open(unsigned n)
{
	void *map;
	struct counters_page *p;
	int rc = shared_map(&map, "sluice counters", sizeof(*p), n, sizeof(p->rows[0]));

	if (rc < 0)
		return rc;
	p = map;
	routes = p->routes;
	rows = own = p->rows;
	n_rows = n;
	return 0;
}

void
counters_use(unsigned row)
{
	unsigned r;
	int c;

	own = &rows[row];
	for (r = 0; r < ROUTES; r++) {
		if (r > 0 && shared_get(&routes[r]) == 0)
			continue;
		for (c = 0; c < COUNTER_GAUGES; c++)
			shared_set(&own->of[r].n[c], 0);
		shared_set(&own->of[r].lag, 0);
	}
}

/* FNV-1a, never 0. */
static uint64_t
hash_of(const char *name)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	return h != 0 ? h : 1;
}

unsigned
counters_of(const char *route)
{
	uint64_t hash, there;
	unsigned r;

	if (route == NULL)
		return 0;
	hash = hash_of(route);
	for (r = 1; r < ROUTES; r++) {
		there = 0;
		if (__atomic_compare_exchange_n(&routes[r], &there, hash, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED) ||
		    there == hash)
			return r;
	}
	return 0;
}

static void
add(uint64_t *p, int64_t n)
{
	shared_set(p, shared_get(p) + (uint64_t)n);
}

void
counters_add(enum counter c, int64_t n)
{
	add(&own->of[0].n[c], n);
}

void
counters_add_of(unsigned route, enum counter c, int64_t n)
{
	add(&own->of[0].n[c], n);
	if (route > 0)
		add(&own->of[route].n[c], n);
}

void
counters_add_route(unsigned route, enum counter c, int64_t n)
{
	if (route > 0)
		add(&own->of[route].n[c], n);
}

void
counters_refused(unsigned route, unsigned status)
{
	int i;

	for (i = 0; counter_statuses[i] != status && counter_statuses[i] != 0; i++)
		;
	add(&own->of[0].refused[i], 1);
	if (route > 0)
		add(&own->of[route].refused[i], 1);
	counters_add_of(route, COUNTER_REQUESTS_REFUSED, 1);
}

static void
put_took(struct tally *t, int bucket, uint64_t us)
{
	add(&t->took[bucket], 1);
	add(&t->took_us, (int64_t)us);
}

void
counters_took(unsigned route, uint64_t us)
{
	int b;

	for (b = 0; b < COUNTER_BUCKETS - 1 && us > counter_bucket_us[b]; b++)
		;
	put_took(&own->of[0], b, us);
	if (route > 0)
		put_took(&own->of[route], b, us);
}

void
counters_set_lag(unsigned route, uint64_t bytes)
{
	shared_set(&own->of[route].lag, bytes);
}

void
counters_set_refusal(unsigned route, uint64_t now_ms)
{
	shared_set(&own->of[route].refusal_ms, now_ms);
}

void
counters_set_reply(unsigned route, bool is_refused, uint64_t now_ms)
{
	struct tally *t = &own->of[route];

	shared_set(is_refused ? &t->reply_refused_ms : &t->reply_given_ms, now_ms);
}

void
counters_sum(uint64_t sum[COUNTER_MAX])
{
	struct tally all;

	counters_tally(0, &all);
	memcpy(sum, all.n, sizeof(all.n));
}

static void
take_later(uint64_t *latest, const uint64_t *ms)
{
	if (shared_get(ms) > *latest)
		*latest = shared_get(ms);
}

void
counters_tally(unsigned route, struct tally *sum)
{
	unsigned r;
	size_t i;

	memset(sum, 0, sizeof(*sum));
	for (r = 0; r < n_rows; r++) {
		const struct tally *t = &rows[r].of[route];

		for (i = 0; i < COUNTER_MAX; i++)
			sum->n[i] += shared_get(&t->n[i]);
		for (i = 0; i < COUNTER_STATUSES; i++)
			sum->refused[i] += shared_get(&t->refused[i]);
		for (i = 0; i < COUNTER_BUCKETS; i++)
			sum->took[i] += shared_get(&t->took[i]);
		sum->took_us += shared_get(&t->took_us);
		take_later(&sum->refusal_ms, &t->refusal_ms);
		take_later(&sum->reply_refused_ms, &t->reply_refused_ms);
		take_later(&sum->reply_given_ms, &t->reply_given_ms);
		if (shared_get(&t->lag) > sum->lag)
			sum->lag = shared_get(&t->lag);
	}
}
