#ifndef SLUICE_BASE_MAP_H
#define SLUICE_BASE_MAP_H

/*
 * map - intrusive hash table from byte strings to the structs that embed a node. The hash has a
 * seed that is drawn at start, because clients choose the names. The key is borrowed: it must live
 * as long as its node is in the map.
 */
#include <stddef.h>
#include <stdint.h>

struct map_node {
	struct map_node *next;
	const char *key;
	uint32_t len;
	uint32_t hash;
};

struct map {
	struct map_node **slots;
	size_t n;
	size_t mask;
};

#define MAP_ENTRY(node, type, field) ((type *)(void *)((char *)(node)-offsetof(type, field)))

void map_init(struct map *m);
void map_fini(struct map *m); /* frees the slots, not what the nodes are embedded in */

/* map_add - key must not be in m yet. Returns 0, -ENOMEM. */
int map_add(struct map *m, struct map_node *node, const char *key, size_t len);
void map_del(struct map *m, struct map_node *node);
struct map_node *map_find(const struct map *m, const char *key, size_t len);

/*
 * map_first, map_next - walk all nodes; NULL at the end. The map must not change meanwhile; only
 * the node that was just returned may be removed, if the next one was fetched before.
 */
struct map_node *map_first(const struct map *m);
struct map_node *map_next(const struct map *m, const struct map_node *node);

#endif
