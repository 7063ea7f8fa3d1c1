#ifndef SLUICE_CONFIG_MUX_H
#define SLUICE_CONFIG_MUX_H

/*
 * mux - checks "routes" of a section with handler = mux: it must name routes that exist, and that
 * stream.
 */
#include "config/route.h"

/* config_mux_check - checks the n-th of all routes, whose section is given. */
void config_mux_check(const struct config_source *src, struct route *const *routes, size_t n_routes,
		      size_t n, size_t section);

#endif
