#include "route/table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/counters.h"
#include "route/serving.h"
#include "source/kinds.h"

static void
on_feeds_closed(struct feed_class *fc)
{
	struct route *rt = (struct route *)(void *)((char *)fc - offsetof(struct route, feeds));
	struct table *table = rt->table;

	route_free(rt);
	table->n_closing--;
	table->on_gone(table);
}

static void
close_route(struct table *table, struct route *rt, enum end_reason reason)
{
	if (!rt->is_serving) {
		route_free(rt);
		return;
	}
	table->n_closing++;
	feed_class_close(&rt->feeds, reason, on_feeds_closed);
}

/* Takes the old route that is the same as the new one out of the old table; or NULL. */
static struct route *
take_same(struct table *table, const struct route *rt)
{
	for (size_t i = 0; i < table->n; i++) {
		struct route *old = table->routes[i];

		if (old != NULL && route_is_same(old, rt)) {
			table->routes[i] = NULL;
			return old;
		}
	}
	return NULL;
}

static struct route *
begin_route(struct table *table, struct route *rt)
{
	struct route *old = take_same(table, rt);

	if (old != NULL) {
		route_free(rt);
		return old;
	}
	rt->in = table->in;
	rt->counted = counters_of(rt->name);
	rt->table = table;
	if (rt->handler->open != NULL) {
		feed_class_init(&rt->feeds, table->hub, rt->handler, &rt->stream,
				feed_kind_of(rt->handler, &rt->stream));
		rt->is_serving = true;
	}
	return rt;
}

void
table_close(struct table *table, enum end_reason reason)
{
	for (size_t i = 0; i < table->n; i++) {
		if (table->routes[i] != NULL)
			close_route(table, table->routes[i], reason);
	}
	free(table->routes);
	table->routes = NULL;
	table->n = 0;
}

/*
 * The old table is not changed before all memory for the new one has been allocated, so a reload
 * that fails changes nothing. Routes that stay keep their feeds and subscribers.
 */
int
table_set(struct table *table, struct route **routes, size_t n)
{
	struct route **all = calloc(n + 1, sizeof(struct route *));

	if (all == NULL) {
		for (size_t i = 0; i < n; i++)
			route_free(routes[i]);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		all[i] = begin_route(table, routes[i]);
	table_close(table, END_RELOAD);
	table->routes = all;
	table->n = n;
	return 0;
}
