#ifndef SLUICE_HUB_SUBSCRIBER_STATE_H
#define SLUICE_HUB_SUBSCRIBER_STATE_H

/* subscriber_state - what a subscriber has in each state, and which may be the next. */
#include "hub/subscriber.h"

/* Its bytes are its own, until it has its place in the log. */
static inline bool
subscriber_is_before_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_WAITING || sub->state == SUBSCRIBER_REPLAYING;
}

void subscriber_set_state(struct subscriber *sub, enum subscriber_state state);

/*
 * subscriber_check - asserts what state, lists and cursor may be together. It holds whenever
 * control leaves subscriber.c, so that nobody else has to ask for the state before they follow a
 * list or use a cursor.
 */
void subscriber_check(const struct subscriber *sub);

#endif
