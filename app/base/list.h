#ifndef SLUICE_BASE_LIST_H
#define SLUICE_BASE_LIST_H

/*
 * list - doubly linked, circular, intrusive.
 *
 * Unlike <sys/queue.h>, a node can be taken out without knowing which list it
 * is in: the hub splices whole lists into others without touching the nodes.
 * A node that is in no list points at itself, so list_del() is always safe.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_ENTRY(node, type, field) ((type *)(void *)((char *)(node)-offsetof(type, field)))

/* The body may take the node out, and free it. */
#define LIST_FOREACH(node, tmp, head) \
	for ((node) = (head)->next, (tmp) = (node)->next; (node) != (head); \
	     (node) = (tmp), (tmp) = (node)->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void
list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline void
list_move_tail(struct list *head, struct list *node)
{
	list_del(node);
	list_add_tail(head, node);
}

/* list_splice_tail - move all nodes of from, in order, to the end of head; from is empty then. */
static inline void
list_splice_tail(struct list *head, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#endif
