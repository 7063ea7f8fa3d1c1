#ifndef SLUICE_REDIS_CLUSTER_H
#define SLUICE_REDIS_CLUSTER_H

/*
 * cluster - asks a node of the cluster which slots are where, and tells the nodes of a topology.
 *
 * It is asked every two seconds, and at once when a node sends somebody elsewhere or a link breaks;
 * another node is asked if what this one says does not help. The URLs need to name one node that
 * lives, be it a replica; later any will do. It says, too, how the cluster is.
 * Source: redis.io/docs/reference/cluster-spec, redis.io/commands/cluster-slots, cluster-info.
 */
#include <uv.h>

#include "redis/slot_map.h"
#include "redis/topology.h"

struct cluster;

/*
 * cluster_new - of the settings of tp, which is borrowed for its life and knows no node before.
 * Returns 0, also with *out NULL if they say nothing of a cluster; -ENOMEM or what libuv said.
 */
int cluster_new(struct cluster **out, uv_loop_t *loop, struct topology *tp);
void cluster_free(struct cluster *cl); /* takes NULL */

/* What may be wrong though something is reached. */
enum cluster_lack {
	CLUSTER_IS_DOWN, /* it says so: keys are not served */
	CLUSTER_NODES,   /* some that have slots are not reached */
	CLUSTER_SLOTS,   /* some have no node */
};

/* cluster_lacks - is it the case? Then the sentence is in text. cl may be NULL: nothing is. */
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
