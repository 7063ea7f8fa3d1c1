#ifndef SLUICE_CONFIG_MUX_H
#define SLUICE_CONFIG_MUX_H

/* mux - what "routes" of a section with handler = mux names: routes that are there, and stream. */
#include "config/route.h"

/* config_mux_check - of the n-th of all routes; section is its own. */
void config_mux_check(const struct config_source *src, struct route *const *routes, size_t n_routes,
		      size_t n, size_t section);

#endif
