#include "redis/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "redis/topology.h"

/*
 * Nodes tell each other of changes within half of cluster-node-timeout, which is 7.5 s by default.
 */
enum {
	SURE_MS = 8000,
	MEETING_MS = 1000, /* so long we may need to connect to a node that we did not know */
};

struct nodes {
	const struct redis_settings *rs;
	struct list nodes;
	struct list watchers;
	struct node *of[SLOTS]; /* NULL: no node is known to have it */
	/*
	 * When we were sent to that node, by clock_ms(): who was sent there knows better than a
	 * map. 0: it comes from a map.
	 */
	uint64_t sent_ms[SLOTS];
	void (*doubt)(void *arg, bool is_sent_elsewhere);
	void (*change)(void *arg);
	void *arg;
};

#define NODE(n) LIST_ENTRY(n, struct node, of_nodes)

int
nodes_new(struct nodes **out, const struct redis_settings *rs)
{
	struct nodes *ns = calloc(1, sizeof(*ns));

	if (ns == NULL)
		return -ENOMEM;
	ns->rs = rs;
	list_init(&ns->nodes);
	list_init(&ns->watchers);
	*out = ns;
	return 0;
}

static void
node_free(struct node *node)
{
	list_del(&node->of_nodes);
	topology_free(node->topology);
	free(node);
}

void
nodes_free(struct nodes *ns)
{
	struct list *n, *tmp;

	if (ns == NULL)
		return;
	LIST_FOREACH (n, tmp, &ns->nodes)
		node_free(NODE(n));
	free(ns);
}

void
nodes_watch(struct nodes *ns, struct nodes_watcher *w)
{
	list_add_tail(&ns->watchers, &w->of_nodes);
}

void
nodes_unwatch(struct nodes_watcher *w)
{
	list_del(&w->of_nodes);
}

struct node *
nodes_of_slot(const struct nodes *ns, unsigned slot)
{
	return ns->of[slot];
}

struct node *
nodes_of_key(const struct nodes *ns, const char *key, size_t len)
{
	return ns->of[slot_of(key, len)];
}

static struct node *
first_with_slots(const struct nodes *ns, struct list *n)
{
	for (; n != &ns->nodes; n = n->next) {
		if (NODE(n)->n_slots > 0)
			return NODE(n);
	}
	return NULL;
}

struct node *
nodes_first(const struct nodes *ns)
{
	return first_with_slots(ns, ns->nodes.next);
}

struct node *
nodes_next(const struct nodes *ns, const struct node *node)
{
	return first_with_slots(ns, node->of_nodes.next);
}

bool
node_is_up(const struct node *node)
{
	return topology_is_up(node->topology);
}

/* The host comes from a server: a character that no name or address has becomes "?". */
void
node_print(char *text, size_t len, const struct node *node)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.:-_[]?";
	bool is_v6 = strchr(node->at.host, ':') != NULL;

	snprintf(text, len, "%s%s%s:%d", is_v6 ? "[" : "", node->at.host, is_v6 ? "]" : "",
		 node->at.port);
	for (text += strspn(text, good); *text != '\0'; text += strspn(text, good))
		*text = '?';
}

static void
on_trouble(void *arg)
{
	nodes_doubt(arg, false);
}

/* Login, password and TLS are those of the first URL. */
static struct node *
node_new(struct nodes *ns, const struct slot_node *at)
{
	struct node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		return NULL;
	node->at = *at;
	node->url = ns->rs->urls[0];
	node->url.host = node->at.host;
	node->url.port = at->port;
	node->settings = *ns->rs;
	node->settings.urls = &node->url;
	node->settings.n_urls = 1;
	node->settings.is_cluster = false; /* it is one server */
	if (topology_new(&node->topology, &node->settings) < 0) {
		free(node);
		return NULL;
	}
	topology_on_trouble(node->topology, on_trouble, ns);
	list_add_tail(&ns->nodes, &node->of_nodes);
	return node;
}

struct node *
nodes_at(struct nodes *ns, const struct slot_node *at)
{
	struct list *n;

	for (n = ns->nodes.next; n != &ns->nodes; n = n->next) {
		if (NODE(n)->at.port == at->port && strcmp(NODE(n)->at.host, at->host) == 0)
			return NODE(n);
	}
	return node_new(ns, at);
}

static void
give(struct nodes *ns, unsigned slot, struct node *to)
{
	if (ns->of[slot] != NULL)
		ns->of[slot]->n_slots--;
	ns->of[slot] = to;
	if (to != NULL)
		to->n_slots++;
}

static void
tell_change(struct nodes *ns)
{
	if (ns->change != NULL)
		ns->change(ns->arg);
}

/*
 * The map may be of a node that has not heard yet, and would send us back to who sent us on. A node
 * that is not reached is believed no longer, once there was time to connect to it: it may have died
 * since.
 */
static bool
is_sure(const struct nodes *ns, unsigned slot, uint64_t now)
{
	uint64_t age = now - ns->sent_ms[slot];

	return ns->sent_ms[slot] != 0 && age < SURE_MS &&
	       (age < MEETING_MS || node_is_up(ns->of[slot]));
}

/*
 * If a slot has no node in this map, it stays with the node that had it: there is no other to ask.
 */
unsigned
nodes_set_map(struct nodes *ns, const struct slot_map *map)
{
	struct node *now[SLOT_NODES_MAX + 1] = {NULL};
	unsigned n_moved = 0, n_new = 0;
	uint64_t now_ms = clock_ms();

	for (unsigned i = 0; i < map->n_nodes; i++)
		now[i + 1] = nodes_at(ns, &map->nodes[i]);
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct node *to = now[map->of[slot]];

		if (to == NULL || ns->of[slot] == to || is_sure(ns, slot, now_ms))
			continue;
		n_moved += ns->of[slot] != NULL;
		n_new += ns->of[slot] == NULL;
		ns->sent_ms[slot] = 0;
		give(ns, slot, to);
	}
	counters_add(COUNTER_SLOTS_MOVED, n_moved);
	if (n_moved + n_new > 0)
		tell_change(ns);
	return n_moved + n_new;
}

void
nodes_move(struct nodes *ns, unsigned slot, const struct slot_node *to)
{
	struct node *node = nodes_at(ns, to);

	if (node != NULL && ns->of[slot] != node) {
		counters_add(COUNTER_SLOTS_MOVED, ns->of[slot] != NULL);
		give(ns, slot, node);
		tell_change(ns);
	}
	if (node != NULL)
		ns->sent_ms[slot] = clock_ms();
	nodes_doubt(ns, true);
}

void
nodes_doubt(struct nodes *ns, bool is_sent_elsewhere)
{
	if (ns->doubt != NULL)
		ns->doubt(ns->arg, is_sent_elsewhere);
}

void
nodes_serve(struct nodes *ns, void (*doubt)(void *arg, bool is_sent_elsewhere),
	    void (*change)(void *arg), void *arg)
{
	ns->doubt = doubt;
	ns->change = change;
	ns->arg = arg;
}

static void
forget_idle(struct nodes *ns)
{
	struct list *n, *tmp;

	LIST_FOREACH (n, tmp, &ns->nodes) {
		if (NODE(n)->n_slots == 0 && topology_is_idle(NODE(n)->topology))
			node_free(NODE(n));
	}
}

void
nodes_tell(struct nodes *ns)
{
	struct list *n, *tmp;

	LIST_FOREACH (n, tmp, &ns->watchers) {
		struct nodes_watcher *w = LIST_ENTRY(n, struct nodes_watcher, of_nodes);

		w->on_change(w);
	}
	forget_idle(ns);
}
