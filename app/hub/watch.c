/*
 * watch.c - tells others when a stream has gone. Few streams are watched, so the watches stand in a
 * map of the worker and not in each subscriber.
 */
#include <assert.h>

#include "hub/outlet.h"
#include "hub/watch.h"

int
subscriber_watch(struct subscriber *sub, struct subscriber_watch *watch)
{
	int rc;

	assert(subscriber_is_stream(sub) && !sub->is_watched);
	watch->number = (uintptr_t)sub;
	rc = map_add(&sub->outlet->class->all->watches, &watch->by_subscriber,
		     (const char *)&watch->number, sizeof(watch->number));
	sub->is_watched = rc == 0;
	return rc;
}

void
subscriber_unwatch(struct subscriber *sub, struct subscriber_watch *watch)
{
	sub->is_watched = false;
	map_del(&sub->outlet->class->all->watches, &watch->by_subscriber);
}

void
watch_tell(struct subscriber *sub)
{
	uintptr_t number = (uintptr_t)sub;
	struct map_node *node =
	    map_find(&sub->outlet->class->all->watches, (const char *)&number, sizeof(number));
	struct subscriber_watch *watch;

	assert(node != NULL);
	watch = MAP_ENTRY(node, struct subscriber_watch, by_subscriber);
	subscriber_unwatch(sub, watch);
	watch->left(watch);
}
