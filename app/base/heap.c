#include "base/heap.h"

void
heap_init(struct heap *h)
{
	h->root = NULL;
}

void
heap_node_init(struct heap_node *node)
{
	*node = (struct heap_node){0};
}

/* Two trees become one: the root with the greater key becomes the other's first child. */
static struct heap_node *
meld(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *tmp;

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	if (b->key < a->key) {
		tmp = a;
		a = b;
		b = tmp;
	}
	b->prev = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->prev = b;
	a->child = b;
	return a;
}

static void
set_root(struct heap *h, struct heap_node *node)
{
	h->root = node;
	if (node != NULL) {
		node->prev = node;
		node->next = NULL;
	}
}

/* Siblings become one tree: first pair by pair from the left, then all from the right. */
static struct heap_node *
meld_siblings(struct heap_node *node)
{
	struct heap_node *pairs = NULL, *all = NULL, *second, *rest;

	for (; node != NULL; node = rest) {
		second = node->next;
		rest = second != NULL ? second->next : NULL;
		node = meld(node, second);
		node->next = pairs;
		pairs = node;
	}
	for (node = pairs; node != NULL; node = rest) {
		rest = node->next;
		all = meld(all, node);
	}
	return all;
}

void
heap_add(struct heap *h, struct heap_node *node, uint64_t key)
{
	node->child = node->next = NULL;
	node->key = key;
	set_root(h, meld(h->root, node));
}

void
heap_del(struct heap *h, struct heap_node *node)
{
	struct heap_node *below;

	if (!heap_has(node))
		return;
	below = meld_siblings(node->child);
	if (h->root == node) {
		set_root(h, below);
	} else {
		if (node->prev->child == node)
			node->prev->child = node->next;
		else
			node->prev->next = node->next;
		if (node->next != NULL)
			node->next->prev = node->prev;
		set_root(h, meld(h->root, below));
	}
	heap_node_init(node);
}
