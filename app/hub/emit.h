#ifndef SLUICE_HUB_EMIT_H
#define SLUICE_HUB_EMIT_H

/*
 * emit - the way of a frame into a feed's log. feed_emit(), for an event, stands in feed.h.
 */
#include "hub/feed_state.h"

/*
 * feed_append - appends a frame for all who are there; the time until the next heartbeat begins
 * anew. is_event: it is not about the stream itself. Returns 0, -ENOMEM.
 */
int feed_append(struct feed *fd, const struct buf *frame, bool is_event);

/*
 * feed_emit_own - appends an event about the stream itself, which does not count as an event.
 * Returns 0, or < 0.
 */
int feed_emit_own(struct feed *fd, const char *type, const char *data);

#endif
