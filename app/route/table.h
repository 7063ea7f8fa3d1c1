#ifndef SLUICE_ROUTE_TABLE_H
#define SLUICE_ROUTE_TABLE_H

/*
 * table - the routes that are served; and the routes that a reload has removed, until they are
 * gone.
 */
#include <stddef.h>

#include "route/route.h"

struct serving_context;

struct table {
	struct hub *hub;
	struct serving_context *in;
	struct route **routes;
	size_t n;
	size_t n_closing;                     /* removed, but their feeds are not gone yet */
	void (*on_gone)(struct table *table); /* one of them has gone */
};

/*
 * table_set - serves these routes from now on. Takes them over, also on failure. If a route exists
 * already with the same name and source, the old one goes on with its subscribers. The subscribers
 * of a route that exists no longer are ended with "reload". Returns 0, -ENOMEM (then the old ones
 * go on).
 */
int table_set(struct table *table, struct route **routes, size_t n);

/*
 * table_close - ends all with the reason; on_gone is called for each route that does not end at
 * once.
 */
void table_close(struct table *table, enum end_reason reason);

#endif
