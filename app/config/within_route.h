#ifndef SLUICE_CONFIG_WITHIN_ROUTE_H
#define SLUICE_CONFIG_WITHIN_ROUTE_H

/*
 * within_route - keys of one route that do not go together, and what is allowed but probably not
 * meant.
 */
#include "config/source.h"
#include "route/route.h"

void
config_check_within_route(const struct config_source *src, const struct route *rt, size_t section);

#endif
