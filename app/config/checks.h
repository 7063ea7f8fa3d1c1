#ifndef SLUICE_CONFIG_CHECKS_H
#define SLUICE_CONFIG_CHECKS_H

/*
 * config_checks - keys of one route that do not go together, and what is allowed but probably not
 * meant.
 */
#include "config/source.h"
#include "route/route.h"

void config_check_route(const struct config_source *src, const struct route *rt, size_t section);

#endif
