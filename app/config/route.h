#ifndef SLUICE_CONFIG_ROUTE_H
#define SLUICE_CONFIG_ROUTE_H

/*
 * config_route - one [route NAME] section, with what [defaults] adds, into a route; and the faults
 * that only show when its keys, or several routes, are seen together.
 */
#include "config/ini.h"
#include "route/route.h"

#define CONFIG_NO_SECTION ((size_t)-1)

struct config_source {
	const struct ini *ini;
	size_t defaults; /* the section, or CONFIG_NO_SECTION */
	struct faults *faults;
	const struct auth_settings *auth;
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

/* For config_logic.c: as config_route.c uses them. */

/* config_fault - what is wrong with an entry: "[section] key: why". */
void config_fault(const struct config_source *src, const struct ini_entry *e, const char *why);

/* config_fault_section - what is wrong with a section as a whole: "[section] why". */
void config_fault_section(const struct config_source *src, size_t section, const char *why);

/* config_find_entry - what the route says about a key, else what [defaults] says, else NULL. */
struct config_key;
const struct ini_entry *
config_find_entry(const struct config_source *src, size_t section, const struct config_key *key);

/* config_put_value - "key = value", as it would stand in a file: in quotes only if it must. */
struct buf;
int config_put_value(struct buf *b, const char *key, const char *value);

#endif
