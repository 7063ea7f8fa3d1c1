#ifndef SLUICE_REDIS_SLOT_MAP_H
#define SLUICE_REDIS_SLOT_MAP_H

/*
 * slot_map - where the slots of a cluster are, by what its nodes say. Pure.
 * Source: redis.io/commands/cluster-slots; cluster-spec, "Redirection and resharding".
 */
#include <stdint.h>

#include "redis/slot.h"

struct redisReply;

enum { SLOT_HOST_MAX = 256, SLOT_NODES_MAX = 1000 };

struct slot_node {
	char host[SLOT_HOST_MAX];
	int port;
};

struct slot_map {
	unsigned n_nodes;
	struct slot_node nodes[SLOT_NODES_MAX]; /* the primaries that have slots, each once */
	uint16_t of[SLOTS];                     /* the node's index plus 1; 0: it has no node */
	unsigned n_covered;                     /* slots that somebody has */
};

/*
 * slot_map_read - what CLUSTER SLOTS answered. asked: the host that did, for a node without an
 * address is that one. Returns 0; -EINVAL: it makes no sense, and *out is not to be used.
 */
int slot_map_read(struct slot_map *out, const struct redisReply *reply, const char *asked);

enum redirect_kind {
	REDIRECT_NONE,  /* another reply */
	REDIRECT_MOVED, /* the slot is there from now on */
	REDIRECT_ASK,   /* this command alone goes there, behind ASKING */
	REDIRECT_WAIT,  /* the command can be sent again in a moment, to the node that the map names
			   by then */
};

struct redirect {
	unsigned slot;
	struct slot_node to; /* an empty host: that of the node that has redirected us */
};

/* redirect_read - is the reply one of those errors by which a node sends us elsewhere? */
enum redirect_kind redirect_read(struct redirect *out, const struct redisReply *reply);

#endif
