#ifndef SLUICE_CONFIG_BETWEEN_ROUTES_H
#define SLUICE_CONFIG_BETWEEN_ROUTES_H

/*
 * between_routes - faults that only show when several routes, or a route and [server], are seen
 * together.
 */
#include "config/source.h"
#include "route/route.h"

/* One route and its section. */
struct config_built {
	struct route *rt;
	size_t section;
};

/* base is [server]'s. Returns 0, -ENOMEM. */
int config_check_between_routes(const struct config_source *src, const struct config_built *all,
				size_t n, const char *base);

#endif
