#ifndef SLUICE_REDIS_TRACKING_H
#define SLUICE_REDIS_TRACKING_H

/*
 * tracking - a node's word that a key has changed since a lane read it: of keys that were asked for
 * behind CLIENT CACHING YES, on that lane. What the node has to say comes on a link of its own.
 * Source: redis.io/docs/manual/client-side-caching, redis.io/commands/client-tracking.
 */
#include <stddef.h>

#include "redis/lane.h"

struct tracking;

enum tracking_state {
	TRACKING_OFF, /* it comes */
	TRACKING_ON,
	TRACKING_REFUSED, /* by this node: whoever wants to know must ask again and again */
};

struct tracking_ops {
	void (*on_key)(void *ctx, const char *key, size_t len); /* key NULL: any */
	void (*on_ready)(void *ctx);                            /* it is on, or refused */
	void (*on_lost)(void *ctx);                             /* nothing is told any more */
};

/* tracking_new - of the lane, which is borrowed, and is of tp. Returns 0, -ENOMEM. */
int tracking_new(struct tracking **out, uv_loop_t *loop, struct topology *tp, struct lane *lane,
		 const struct tracking_ops *ops, void *ctx);
void tracking_free(struct tracking *tr); /* takes NULL; before its lane */

/* What its lane's owner tells it. */
void tracking_lane_up(struct tracking *tr);
void tracking_lane_down(struct tracking *tr);

enum tracking_state tracking_state(const struct tracking *tr);

#endif
