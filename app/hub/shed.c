#include "hub/feed_state.h"

#include <stdlib.h>

enum { SHED_MAX = 1024 }; /* how many are looked at at once; the next look takes the others */

struct load {
	struct subscriber *sub;
	size_t n_unsent;
};

static int
by_load(const void *a, const void *b)
{
	size_t na = ((const struct load *)a)->n_unsent, nb = ((const struct load *)b)->n_unsent;

	return na < nb ? 1 : na > nb ? -1 : 0;
}

/* The subscribers of one feed whose clients do not read. */
static size_t
collect(const struct feed *fd, struct load *out, size_t n)
{
	const struct list *node;

	for (node = fd->out.joined.next; node != &fd->out.joined && n < SHED_MAX;
	     node = node->next) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (sub->is_blocked)
			out[n++] = (struct load){sub, subscriber_n_unsent(sub)};
	}
	return n;
}

size_t
hub_shed(struct hub *hub, size_t bytes)
{
	struct load *loads = calloc(SHED_MAX, sizeof(*loads));
	struct list *class, *node;
	size_t n = 0, i, freed = 0;

	if (loads == NULL)
		return 0;
	for (class = hub->classes.next; class != &hub->classes; class = class->next) {
		struct feed_class *fc = LIST_ENTRY(class, struct feed_class, of_hub);

		for (node = fc->feeds.next; node != &fc->feeds; node = node->next)
			n = collect(LIST_ENTRY(node, struct feed, of_class), loads, n);
	}
	qsort(loads, n, sizeof(*loads), by_load);
	for (i = 0; i < n && freed < bytes && loads[i].n_unsent > 0; i++) {
		freed += loads[i].n_unsent;
		subscriber_shed(loads[i].sub);
	}
	free(loads);
	return i;
}
