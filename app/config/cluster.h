#ifndef SLUICE_CONFIG_CLUSTER_H
#define SLUICE_CONFIG_CLUSTER_H

/*
 * cluster - what a route may not say in a cluster: two keys of one command that are not always
 * in one slot.
 */
#include "config/source.h"
#include "redis/settings.h"
#include "route/route.h"

void config_check_cluster(const struct config_source *src, const struct redis_settings *rs,
			  const struct route *rt, size_t section);

#endif
