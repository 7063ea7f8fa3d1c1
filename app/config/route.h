#ifndef SLUICE_CONFIG_ROUTE_H
#define SLUICE_CONFIG_ROUTE_H

/*
 * config_route - one [route NAME] section, with what [defaults] adds, into a route; and the faults
 * that only show when its keys, or several routes, are seen together.
 */
#include "config/source.h"
#include "route/route.h"

/*
 * config_route_build - section is that of the route, name what stands behind "route" in it. A route
 * with faults is built as far as it goes. Returns 0 and *out, the caller's; -ENOMEM.
 */
int config_route_build(struct route **out, const struct config_source *src, size_t section,
		       const char *name);

/* config_route_check_defaults - all values of [defaults], used by a route or not. 0, -ENOMEM. */
int config_route_check_defaults(const struct config_source *src, struct route *const *routes,
				size_t n_routes);

#endif
