#ifndef SLUICE_BASE_HEAP_H
#define SLUICE_BASE_HEAP_H

/*
 * heap - nodes in the order of a number, of which only the least is looked at. It is intrusive and
 * a pairing heap: to add is one comparison, to take out is logarithmic on average, and nothing is
 * allocated.
 * A node that is in no heap may be taken out as well: nothing happens.
 * Source: Fredman, Sedgewick, Sleator, Tarjan: "The pairing heap", Algorithmica 1 (1986).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	struct heap_node *child; /* the first of them */
	struct heap_node *next;  /* sibling */
	struct heap_node *prev;  /* sibling, or of the first its parent; itself: it is the root */
	uint64_t key;
};

struct heap {
	struct heap_node *root; /* NULL: it is empty */
};

#define HEAP_ENTRY(node, type, field) ((type *)(void *)((char *)(node)-offsetof(type, field)))

void heap_init(struct heap *h);
void heap_node_init(struct heap_node *node);
void heap_add(struct heap *h, struct heap_node *node, uint64_t key); /* it is in none */
void heap_del(struct heap *h, struct heap_node *node);

static inline struct heap_node *
heap_first(const struct heap *h) /* NULL: there is none */
{
	return h->root;
}

static inline bool
heap_has(const struct heap_node *node) /* is it in one? */
{
	return node->prev != NULL;
}

#endif
