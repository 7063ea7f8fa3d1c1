#ifndef SLUICE_REDIS_CLUSTER_H
#define SLUICE_REDIS_CLUSTER_H

/*
 * cluster - asks a node of the cluster which slots are where, and tells the nodes of a topology.
 *
 * It is asked every two seconds, and at once when a node sends somebody elsewhere or a link breaks;
 * another node is asked if what this one says does not help. The URLs need to name one node that
 * lives, be it a replica; later any will do.
 * Source: redis.io/docs/reference/cluster-spec, redis.io/commands/cluster-slots.
 */
#include <uv.h>

#include "redis/topology.h"

struct cluster;

/*
 * cluster_new - of the settings of tp, which is borrowed for its life and knows no node before.
 * Returns 0, also with *out NULL if they say nothing of a cluster; -ENOMEM or what libuv said.
 */
int cluster_new(struct cluster **out, uv_loop_t *loop, struct topology *tp);
void cluster_free(struct cluster *cl); /* takes NULL */

#endif
