#ifndef SLUICE_HUB_SUBSCRIBER_STATE_H
#define SLUICE_HUB_SUBSCRIBER_STATE_H

/* subscriber_state - what a subscriber has in each state, and which may be the next. */
#include "hub/subscriber.h"

/* Before it has its place in the log, its bytes are its own. */
static inline bool
subscriber_is_before_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_WAITING || sub->state == SUBSCRIBER_REPLAYING;
}

void subscriber_set_state(struct subscriber *sub, enum subscriber_state state);

/*
 * subscriber_check - asserts which state, lists and cursor go together. It holds whenever control
 * leaves subscriber.c, so no other file need ask for the state before it follows a list or uses a
 * cursor.
 */
void subscriber_check(const struct subscriber *sub);

#endif
