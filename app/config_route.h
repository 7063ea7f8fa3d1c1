#ifndef SLUICE_CONFIG_ROUTE_H
#define SLUICE_CONFIG_ROUTE_H

/*
 * config_route - one [route NAME] section, with what [defaults] adds, into a route; and the faults
 * that only show when its keys, or several routes, are seen together.
 */
#include "ini.h"
#include "route/route.h"

#define CONFIG_NO_SECTION ((size_t)-1)

struct config_source {
	const struct ini *ini;
	size_t defaults; /* the section, or CONFIG_NO_SECTION */
	struct faults *faults;
};

/*
 * config_route_build - section is that of the route, name what stands behind "route" in it. A route
 * with faults is built as far as it goes. Returns 0 and *out, the caller's; -ENOMEM.
 */
int config_route_build(struct route **out, const struct config_source *src, size_t section,
		       const char *name);

/* config_route_check_defaults - all values of [defaults], used by a route or not. 0, -ENOMEM. */
int config_route_check_defaults(const struct config_source *src, struct route *const *routes,
				size_t n_routes);

/* config_route_check_reach - later is at fault if earlier serves all that it would. */
void config_route_check_reach(const struct config_source *src, const struct route *earlier,
			      const struct route *later, const struct ini_entry *path_entry);

#endif
