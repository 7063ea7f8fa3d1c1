#include "report.h"

#include <stdio.h>
#include <string.h>

#include <sluice/handler.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/counters.h"
#include "hub/hub.h"
#include "redis/cluster.h"
#include "redis/command.h"
#include "route/site.h"
#include "worker_parts.h"

enum {
	/*
	 * How long a refusal of Redis is reported after it happened: for what is asked again each
	 * second, and for a command that is asked only when somebody needs it.
	 */
	REFUSAL_MS = 5000,
	REPLY_REFUSED_MS = 60000,
	NODES_MAX = 256, /* are told one by one */
};

static const struct worker *this_worker;

void
report_of(const struct worker *w)
{
	this_worker = w;
}

/* Of a cluster each node serves what it has: while one goes, another may be reached. */
bool
worker_redis_is_up(void)
{
	bool hears = hub_redis_is_up(this_worker->hub), asks = command_is_up(this_worker->command);

	return this_worker->servers.cluster != NULL ? hears || asks : hears && asks;
}

/* What may be wrong, the worst first. */
enum trouble {
	TROUBLE_DRAINING,
	TROUBLE_NO_REDIS,
	TROUBLE_SOME_REDIS,
	TROUBLE_CLUSTER_DOWN,
	TROUBLE_CLUSTER_NODES,
	TROUBLE_CLUSTER_SLOTS,
	TROUBLE_CRASHING,
	TROUBLE_REFUSED,
	TROUBLE_NOTIFICATIONS,
	TROUBLE_CONFIG,
	TROUBLES
};

/* The whole program ends, and this worker knows it: no new streams are opened. */
static bool
is_draining(void)
{
	return board_get(BOARD_DRAINING) != 0 && this_worker->is_draining;
}

static bool
is_within(uint64_t at_ms, uint64_t ms)
{
	return at_ms != 0 && clock_ms() - at_ms <= ms;
}

/* The names of the routes to which Redis has refused something lately. */
static bool
is_refused(char *text, size_t len)
{
	static const char begin[] = "Redis refuses what a route asks: ";
	const struct route *rt;
	struct tally tally;
	size_t used = (size_t)snprintf(text, len, "%s", begin), i;
	const char *sep = "";

	for (i = 0; (rt = site_route(this_worker->site, i)) != NULL && used < len; i++) {
		if (rt->counted == 0)
			continue;
		counters_tally(rt->counted, &tally);
		if (!is_within(tally.refusal_ms, REFUSAL_MS) &&
		    (tally.reply_given_ms >= tally.reply_refused_ms ||
		     !is_within(tally.reply_refused_ms, REPLY_REFUSED_MS)))
			continue;
		used += (size_t)snprintf(text + used, len - used, "%s%s", sep, rt->name);
		sep = ", ";
	}
	return *sep != '\0';
}

/* Is this wrong at the moment? If it is, text gets a sentence. */
static bool
has_trouble(enum trouble t, const struct board_sum *board, char *text, size_t len)
{
	const struct cluster *cl = this_worker->servers.cluster;

	switch (t) {
	case TROUBLE_DRAINING:
		snprintf(text, len, "The program is ending.");
		return is_draining();
	case TROUBLE_NO_REDIS:
		snprintf(text, len, "No worker is connected to Redis.");
		return board->n_with_redis == 0;
	case TROUBLE_SOME_REDIS:
		snprintf(text, len, "%u of %u workers are not connected to Redis.",
			 board->n_workers - board->n_with_redis, board->n_workers);
		return board->n_with_redis > 0 && board->n_with_redis < board->n_workers;
	case TROUBLE_CLUSTER_DOWN:
		return cluster_lacks(cl, CLUSTER_IS_DOWN, text, len);
	case TROUBLE_CLUSTER_NODES:
		return cluster_lacks(cl, CLUSTER_NODES, text, len);
	case TROUBLE_CLUSTER_SLOTS:
		return cluster_lacks(cl, CLUSTER_SLOTS, text, len);
	case TROUBLE_CRASHING:
		snprintf(text, len, "%u of %u workers die as soon as they are started.",
			 (unsigned)board_get(BOARD_CRASHING), board->n_workers);
		return board_get(BOARD_CRASHING) != 0;
	case TROUBLE_REFUSED:
		return is_refused(text, len);
	case TROUBLE_NOTIFICATIONS:
		snprintf(text, len, "%s", this_worker->notifications.lack);
		return *text != '\0';
	case TROUBLE_CONFIG:
		snprintf(text, len, "The configuration has faults: the one before is served.");
		return board_get(BOARD_LAST_REFUSED) != 0;
	case TROUBLES:
		break;
	}
	return false;
}

static void
look_at_board(struct board_sum *out)
{
	board_redis(worker_redis_is_up());
	board_sum(out);
}

const char *
worker_state(void)
{
	struct board_sum board;
	char text[NOTIFICATIONS_TEXT];
	unsigned t;

	look_at_board(&board);
	if (is_draining())
		return "draining";
	if (board.n_with_redis == 0)
		return "down";
	for (t = 0; t < TROUBLES; t++) {
		if (has_trouble((enum trouble)t, &board, text, sizeof(text)))
			return "degraded";
	}
	return "ok";
}

bool
worker_trouble(unsigned n, char *text, size_t len)
{
	struct board_sum board;
	unsigned t;

	look_at_board(&board);
	for (t = 0; t < TROUBLES; t++) {
		if (has_trouble((enum trouble)t, &board, text, len) && n-- == 0)
			return true;
	}
	return false;
}

/* The supervisor's own counters come behind those of the workers. */
static const struct {
	const char *name, *help;
	enum board_fact fact;
} facts[] = {
    {"workers_hung", "workers that were replaced because they hung", BOARD_HUNG},
    {"workers_died", "workers that have died otherwise", BOARD_DIED},
    {"quarantined", "messages that have killed two workers", BOARD_POISONS},
    {"reloads", "configurations taken over", BOARD_RELOADS},
    {"reloads_refused", "configurations refused for their faults", BOARD_REFUSED},
};

enum { N_FACTS = sizeof(facts) / sizeof(facts[0]) };

bool
worker_count(unsigned n, const char **name, unsigned long long *value)
{
	uint64_t sum[COUNTER_MAX];

	if (n >= COUNTER_MAX + N_FACTS)
		return false;
	if (n >= COUNTER_MAX) {
		*name = facts[n - COUNTER_MAX].name;
		*value = board_get(facts[n - COUNTER_MAX].fact);
		return true;
	}
	counters_sum(sum);
	*name = counter_texts[n].name;
	*value = sum[n];
	return true;
}

bool
worker_count_is_gauge(unsigned n)
{
	return n < COUNTER_GAUGES;
}

const char *
worker_count_help(unsigned n)
{
	return n < COUNTER_MAX ? counter_texts[n].help : facts[n - COUNTER_MAX].help;
}

bool
worker_node(unsigned n, struct worker_node *out)
{
	struct cluster_node node;

	if (n >= NODES_MAX || !cluster_node(this_worker->servers.cluster, n, &node))
		return false;
	snprintf(out->address, sizeof(out->address), "%s", node.address);
	out->role = "primary"; /* because no link goes to a replica */
	out->n_slots = node.n_slots;
	out->is_up = node.is_up;
	return true;
}

static void
tally_of(unsigned n, struct tally *out)
{
	const struct route *rt = site_route(this_worker->site, n);

	memset(out, 0, sizeof(*out));
	if (rt != NULL && rt->counted > 0)
		counters_tally(rt->counted, out);
}

bool
worker_route(unsigned n, struct worker_route *out)
{
	const struct route *rt = site_route(this_worker->site, n);
	struct tally tally;

	if (rt == NULL)
		return false;
	tally_of(n, &tally);
	*out = (struct worker_route){.name = rt->name,
				     .path = path_text(rt->path),
				     .handler = rt->handler->name,
				     .lag = tally.lag};
	return true;
}

unsigned long long
worker_route_count(unsigned route, unsigned n)
{
	struct tally tally;

	tally_of(route, &tally);
	return n < COUNTER_MAX ? tally.n[n] : 0;
}

bool
worker_route_refused(unsigned route, unsigned n, unsigned *status, unsigned long long *value)
{
	struct tally tally;

	if (n >= COUNTER_STATUSES)
		return false;
	tally_of(route, &tally);
	*status = counter_statuses[n];
	*value = tally.refused[n];
	return true;
}

bool
worker_route_took(unsigned route, unsigned n, unsigned *us, unsigned long long *value)
{
	struct tally tally;

	if (n >= COUNTER_BUCKETS)
		return false;
	tally_of(route, &tally);
	*us = counter_bucket_us[n];
	*value = tally.took[n];
	return true;
}

unsigned long long
worker_route_took_us(unsigned route)
{
	struct tally tally;

	tally_of(route, &tally);
	return tally.took_us;
}
