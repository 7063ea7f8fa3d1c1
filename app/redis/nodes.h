#ifndef SLUICE_REDIS_NODES_H
#define SLUICE_REDIS_NODES_H

/*
 * nodes - the primaries of a cluster, as one worker knows them, and which slot belongs to which. An
 * object with links to several nodes watches: it is told from the loop when slots have moved or
 * nodes have gone. A node without slots is forgotten when it has no links any more.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "redis/settings.h"
#include "redis/slot_map.h"

struct nodes;
struct topology;

struct node {
	struct list of_nodes;      /* nodes' */
	struct topology *topology; /* which its links are of */
	unsigned n_slots; /* 0: it is no node of the cluster any more, or is known only by an ASK */
	struct slot_node at;
	struct redis_settings settings;
	struct redis_url url;
};

/* Embedded by whatever watches. */
struct nodes_watcher {
	struct list of_nodes;
	void (*on_change)(struct nodes_watcher *w);
};

int nodes_new(struct nodes **out, const struct redis_settings *rs); /* borrowed. 0, -ENOMEM */
void nodes_free(struct nodes *ns); /* takes NULL; all links must have gone */

void nodes_watch(struct nodes *ns, struct nodes_watcher *w);
void nodes_unwatch(struct nodes_watcher *w);

/*
 * nodes_of_slot, nodes_of_key - NULL: no node is known to have it. Nodes are borrowed until the
 * next change.
 */
struct node *nodes_of_slot(const struct nodes *ns, unsigned slot);
struct node *nodes_of_key(const struct nodes *ns, const char *key, size_t len);

/* nodes_first, nodes_next - walk the nodes that have slots. */
struct node *nodes_first(const struct nodes *ns);
struct node *nodes_next(const struct nodes *ns, const struct node *node);

/* node_is_up - does this worker have links to it, and are all of them up? */
bool node_is_up(const struct node *node);

/* node_print - writes "host:port", in characters that need no quoting anywhere. */
void node_print(char *text, size_t len, const struct node *node);

/* nodes_at - the node at this address, which is added if it was not known. NULL: out of memory. */
struct node *nodes_at(struct nodes *ns, const struct slot_node *at);

/* nodes_set_map - this is how it is, but for slots that nodes_move() has told of lately. Returns
 * how many slots are elsewhere than before. */
unsigned nodes_set_map(struct nodes *ns, const struct slot_map *map);
/* nodes_move - a node says so of one slot. The map is stale. */
void nodes_move(struct nodes *ns, unsigned slot, const struct slot_node *to);
/* nodes_doubt - the map may be stale: a node sent us elsewhere or put us off; or a link broke. */
void nodes_doubt(struct nodes *ns, bool is_sent_elsewhere);

/* What only who reads the map needs. doubt is called when it may be stale, and change when watchers
 * are to be told, soon, by nodes_tell(). */
void nodes_serve(struct nodes *ns, void (*doubt)(void *arg, bool is_sent_elsewhere),
		 void (*change)(void *arg), void *arg);
void nodes_tell(struct nodes *ns);

#endif
