/*
 * metrics.c - what all workers have counted, in Prometheus's text format, version 0.0.4.
 */
#include <sluice/handler.h>

static int
metrics_answer(struct reply *reply, const struct request *req)
{
	unsigned long long value;
	const char *name;
	unsigned n;

	(void)req;
	reply_type(reply, "text/plain; version=0.0.4; charset=utf-8");
	reply_printf(reply,
		     "# HELP sluice_redis_up Whether this worker's links to Redis are up.\n"
		     "# TYPE sluice_redis_up gauge\nsluice_redis_up %d\n",
		     worker_redis_is_up());
	for (n = 0; worker_count(n, &name, &value); n++) {
		bool is_gauge = worker_count_is_gauge(n);
		const char *suffix = is_gauge ? "" : "_total";

		reply_printf(reply,
			     "# HELP sluice_%s%s %s.\n# TYPE sluice_%s%s %s\n"
			     "sluice_%s%s %llu\n",
			     name, suffix, worker_count_help(n), name, suffix,
			     is_gauge ? "gauge" : "counter", name, suffix, value);
	}
	return HTTP_OK;
}

const struct handler metrics = {
    .name = "metrics",
    .answer = metrics_answer,
};
