#ifndef SLUICE_REDIS_CLUSTER_H
#define SLUICE_REDIS_CLUSTER_H

/*
 * cluster - asks a node of the cluster which slots are where, and gives the answer to the nodes of
 * a topology.
 *
 * It asks every two seconds, and at once when a node redirects a command or a link breaks; if one
 * node's answer does not help, it asks another. The URLs must name one node that lives, which may
 * be a replica; later it can ask any. It also reports how the cluster is.
 * Source: redis.io/docs/reference/cluster-spec, redis.io/commands/cluster-slots, cluster-info.
 */
#include <uv.h>

#include "redis/slot_map.h"
#include "redis/topology.h"

struct cluster;

/*
 * cluster_new - by the settings of tp, which is borrowed for its life and knows no node before.
 * Returns 0, with *out NULL if the settings name no cluster; -ENOMEM or what libuv returned.
 */
int cluster_new(struct cluster **out, uv_loop_t *loop, struct topology *tp);
void cluster_free(struct cluster *cl); /* takes NULL */

/* What may be wrong even if some node can be reached. */
enum cluster_lack {
	CLUSTER_IS_DOWN, /* the cluster says that it is down: keys are not served */
	CLUSTER_NODES,   /* some nodes that have slots cannot be reached */
	CLUSTER_SLOTS,   /* some have no node */
};

/*
 * cluster_lacks - is this wrong at the moment? Then text gets a sentence. cl may be NULL: nothing
 * is wrong.
 */
bool cluster_lacks(const struct cluster *cl, enum cluster_lack lack, char *text, size_t len);

/* cluster_node - the n-th node that has slots; false past the last. cl may be NULL: there is none.
 */
struct cluster_node {
	char address[SLOT_HOST_MAX + 16];
	unsigned n_slots;
	bool is_up; /* each link to it */
};
bool cluster_node(const struct cluster *cl, unsigned n, struct cluster_node *out);

#endif
