#include "redis/reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"

int
readers_new(struct readers **out, uv_loop_t *loop, struct topology *tp,
	    const struct readers_ops *ops)
{
	struct readers *rds = calloc(1, sizeof(*rds));
	int rc;

	if (rds == NULL)
		return -ENOMEM;
	rds->loop = loop;
	rds->topology = tp;
	rds->ops = ops;
	rds->kind = topology_nodes(tp) != NULL ? &reader_tracked : &reader_blocking;
	map_init(&rds->by_key);
	if ((rc = rds->kind->begin(rds)) < 0) {
		free(rds);
		return rc;
	}
	*out = rds;
	return 0;
}

void
readers_free(struct readers *rds)
{
	if (rds == NULL)
		return;
	rds->kind->end(rds);
	counters_add(COUNTER_SUBJECTS, -(int64_t)rds->by_key.n);
	map_fini(&rds->by_key);
	free(rds);
}

void
readers_set_command(struct readers *rds, struct command *command)
{
	rds->kind->set_command(rds, command);
	rds->command = command;
}

static int
add(struct readers *rds, struct reader_stream *st, const char *key, size_t len)
{
	int rc;

	if ((rc = map_add(&rds->by_key, &st->by_key, key, len)) < 0)
		return rc;
	st->is_looked_at = st->is_refused = false;
	stream_place_doubt(&st->place); /* it may be on another server from now on */
	if ((rc = rds->kind->add(rds, st)) < 0) {
		map_del(&rds->by_key, &st->by_key);
		return rc;
	}
	counters_add(COUNTER_SUBJECTS, 1);
	return 0;
}

int
readers_follow(struct readers *rds, struct reader_stream *st, const char *key, size_t len)
{
	memset(st, 0, sizeof(*st));
	list_init(&st->of_reader);
	return add(rds, st, key, len);
}

void
readers_leave(struct readers *rds, struct reader_stream *st)
{
	if (readers_find(rds, st->by_key.key, st->by_key.len) != st)
		return;
	rds->kind->remove(rds, st);
	map_del(&rds->by_key, &st->by_key);
	counters_add(COUNTER_SUBJECTS, -1);
}

void
readers_adopt(struct readers *rds, struct readers *from)
{
	struct map_node *node;

	while ((node = map_first(&from->by_key)) != NULL) {
		struct reader_stream *st = MAP_ENTRY(node, struct reader_stream, by_key);

		readers_leave(from, st);
		if (add(rds, st, st->by_key.key, st->by_key.len) < 0)
			rds->ops->on_refused(st, "out of memory");
	}
}
