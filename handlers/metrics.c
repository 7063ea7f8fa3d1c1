/*
 * metrics.c - the counters of all workers in Prometheus's text format, version 0.0.4: all together,
 * and by route.
 */
#include <stdio.h>
#include <string.h>

#include <sluice/handler.h>

/* A label's value: quotes, backslashes and line ends are escaped. */
static void
put_label(struct reply *reply, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			reply_printf(reply, "\\n");
		else
			reply_printf(reply, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	}
}

static void
put_head(struct reply *reply, const char *name, const char *type, const char *help)
{
	reply_printf(reply, "# HELP sluice_%s %s.\n# TYPE sluice_%s %s\n", name, help, name, type);
}

/* Begins a line of a route: NAME{route="x", to which further labels may be added. */
static void
begin_line(struct reply *reply, const char *name, const struct worker_route *route)
{
	reply_printf(reply, "sluice_%s{route=\"", name);
	put_label(reply, route->name);
	reply_printf(reply, "\"");
}

static void
put_totals(struct reply *reply)
{
	unsigned long long value;
	const char *name;
	char full[96];
	unsigned n;

	for (n = 0; worker_count(n, &name, &value); n++) {
		bool is_gauge = worker_count_is_gauge(n);

		snprintf(full, sizeof(full), "%s%s", name, is_gauge ? "" : "_total");
		put_head(reply, full, is_gauge ? "gauge" : "counter", worker_count_help(n));
		reply_printf(reply, "sluice_%s %llu\n", full, value);
	}
}

/* Some counters count for a route only, never for the whole program. */
static void
put_counts(struct reply *reply)
{
	unsigned long long value;
	struct worker_route route;
	const char *name;
	char full[96];
	unsigned n, r;

	for (n = 0; worker_count(n, &name, &value); n++) {
		bool is_gauge = worker_count_is_gauge(n), has_head = false;

		snprintf(full, sizeof(full), "route_%s%s", name, is_gauge ? "" : "_total");
		for (r = 0; worker_route(r, &route); r++) {
			if ((value = worker_route_count(r, n)) == 0)
				continue;
			if (!has_head)
				put_head(reply, full, is_gauge ? "gauge" : "counter",
					 worker_count_help(n));
			has_head = true;
			begin_line(reply, full, &route);
			reply_printf(reply, "} %llu\n", value);
		}
	}
}

static void
put_refused(struct reply *reply)
{
	unsigned long long value;
	struct worker_route route;
	unsigned n, r, status;

	put_head(reply, "route_refused_total", "counter", "requests refused, by status");
	for (r = 0; worker_route(r, &route); r++) {
		for (n = 0; worker_route_refused(r, n, &status, &value); n++) {
			if (value == 0)
				continue;
			begin_line(reply, "route_refused_total", &route);
			reply_printf(reply, ",status=\"%u\"} %llu\n", status, value);
		}
	}
}

static void
put_lags(struct reply *reply)
{
	struct worker_route route;
	unsigned r;

	put_head(reply, "route_lag_bytes", "gauge", "bytes that the slowest client has not taken");
	for (r = 0; worker_route(r, &route); r++) {
		begin_line(reply, "route_lag_bytes", &route);
		reply_printf(reply, "} %llu\n", route.lag);
	}
}

/* One route's histogram. Each bucket includes the ones before it. */
static void
put_took(struct reply *reply, unsigned r, const struct worker_route *route)
{
	static const char name[] = "route_delivery_seconds";
	unsigned long long value, sum = 0;
	unsigned n, us;

	for (n = 0; worker_route_took(r, n, &us, &value); n++) {
		sum += value;
		begin_line(reply, "route_delivery_seconds_bucket", route);
		if (us > 0)
			reply_printf(reply, ",le=\"%g\"} %llu\n", us / 1e6, sum);
		else
			reply_printf(reply, ",le=\"+Inf\"} %llu\n", sum);
	}
	reply_printf(reply, "sluice_%s_sum{route=\"", name);
	put_label(reply, route->name);
	reply_printf(reply, "\"} %.6f\nsluice_%s_count{route=\"",
		     (double)worker_route_took_us(r) / 1e6, name);
	put_label(reply, route->name);
	reply_printf(reply, "\"} %llu\n", sum);
}

/* For a cluster; a single Redis is in sluice_redis_up. */
static void
put_nodes(struct reply *reply, const char *name, const char *help, bool is_slots)
{
	struct worker_node node;
	unsigned n;

	for (n = 0; worker_node(n, &node); n++) {
		if (n == 0)
			put_head(reply, name, "gauge", help);
		reply_printf(reply, "sluice_%s{node=\"", name);
		put_label(reply, node.address);
		reply_printf(reply, "\",role=\"%s\"} %u\n", node.role,
			     is_slots ? node.n_slots : node.is_up);
	}
}

static int
metrics_answer(struct reply *reply, const struct request *req)
{
	struct worker_route route;
	unsigned r;

	(void)req;
	reply_type(reply, "text/plain; version=0.0.4; charset=utf-8");
	reply_printf(reply,
		     "# HELP sluice_up Whether the program serves: not while it has no Redis, or "
		     "ends.\n# TYPE sluice_up gauge\nsluice_up %d\n"
		     "# HELP sluice_redis_up Whether both links to Redis are up of the "
		     "worker that answers.\n"
		     "# TYPE sluice_redis_up gauge\nsluice_redis_up %d\n",
		     strcmp(worker_state(), "ok") == 0 || strcmp(worker_state(), "degraded") == 0,
		     worker_redis_is_up());
	put_nodes(reply, "redis_node_up", "whether each link of this worker to the node is up",
		  false);
	put_nodes(reply, "redis_node_slots", "slots that the node has", true);
	put_totals(reply);
	put_counts(reply);
	put_refused(reply);
	put_lags(reply);
	put_head(reply, "route_delivery_seconds", "histogram",
		 "writes to subscribers, by the time since the message came from Redis");
	for (r = 0; worker_route(r, &route); r++)
		put_took(reply, r, &route);
	return HTTP_OK;
}

const struct handler metrics = {
    .name = "metrics",
    .answer = metrics_answer,
};
