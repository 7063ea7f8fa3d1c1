#ifndef SLUICE_CONFIG_ROUTE_H
#define SLUICE_CONFIG_ROUTE_H

/*
 * config_route - makes a route of one [route NAME] section and [defaults], and reports what is
 * wrong with it.
 */
#include "config/source.h"
#include "route/route.h"

/*
 * config_route_build - section is the route's, name is what stands behind "route" in it. A route
 * with faults is built as far as possible. Returns 0 and *out, the caller's; -ENOMEM.
 */
int config_route_build(struct route **out, const struct config_source *src, size_t section,
		       const char *name);

/*
 * config_route_check_defaults - checks all values of [defaults], even those that no route uses.
 * Returns 0, -ENOMEM.
 */
int config_route_check_defaults(const struct config_source *src, struct route *const *routes,
				size_t n_routes);

#endif
