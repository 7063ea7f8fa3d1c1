#include "hub/subscriber_state.h"

#include <assert.h>

#include "hub/outlet.h"

/* What a subscriber has in each state, and which may be the next. */
static const struct {
	bool has_outlet, is_joined, has_place;
	unsigned next; /* bits of enum subscriber_state */
} states[] = {
#define MAY(state) (1U << SUBSCRIBER_##state)
    [SUBSCRIBER_NEW] = {.next = MAY(WAITING) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_WAITING] = {.has_outlet = true,
			    .is_joined = true,
			    .next = MAY(REPLAYING) | MAY(OPEN) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_REPLAYING] = {.has_outlet = true,
			      .is_joined = true,
			      .next = MAY(OPEN) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_OPEN] = {.has_outlet = true,
			 .is_joined = true,
			 .has_place = true,
			 .next = MAY(LAPSED) | MAY(ENDING) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_LAPSED] = {.has_outlet = true, .is_joined = true, .next = MAY(OPEN) | MAY(GONE)},
    [SUBSCRIBER_ENDING] = {.has_outlet = true, .has_place = true, .next = MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_LAST] = {.next = MAY(GONE)}, /* a short answer has no outlet, a stream has one */
    [SUBSCRIBER_GONE] = {.next = 0},
#undef MAY
};

void
subscriber_check(const struct subscriber *sub)
{
	assert(sub->state == SUBSCRIBER_LAST ||
	       subscriber_is_stream(sub) == states[sub->state].has_outlet);
	assert(!list_is_empty(&sub->joined) == states[sub->state].is_joined);
	assert(!states[sub->state].has_place || log_has(&sub->outlet->log, sub->cursor));
	assert(sub->is_lagging == (sub->is_blocked && subscriber_reads_log(sub)));
	assert(!sub->is_blocked || sub->is_lagging || list_is_empty(&sub->node));
	assert(sub->state != SUBSCRIBER_LAPSED || sub->is_blocked);
	assert(sub->state != SUBSCRIBER_ENDING || sub->cursor < sub->end_at);
	assert(!sub->is_held || subscriber_is_before_log(sub));
	assert(sub->state != SUBSCRIBER_GONE || list_is_empty(&sub->node));
}

void
subscriber_set_state(struct subscriber *sub, enum subscriber_state state)
{
	assert(states[sub->state].next & (1U << state));
	sub->state = (unsigned char)state;
}
