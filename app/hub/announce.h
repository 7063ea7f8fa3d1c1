#ifndef SLUICE_HUB_ANNOUNCE_H
#define SLUICE_HUB_ANNOUNCE_H

/*
 * announce - what a stream says of itself: that it is open, that something may be missing, that it
 * ends and why. A route may have these unannounced; what a client must know, its id and when to
 * come back, is said in any case.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "hub/settings.h"
#include "hub/subscriber.h"

struct wire;

/*
 * subscriber_put_end - the last frame of a stream that ends for this reason, as the settings say;
 * retry_ms 0: the client knows when to come back. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int subscriber_put_end(struct buf *b, const struct wire *wire, const struct feed_settings *fs,
		       enum end_reason reason, unsigned retry_ms);

/*
 * subscriber_put_open - the first frame, behind its own bytes. cursor: where the client stands;
 * NULL: nowhere. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int subscriber_put_open(struct subscriber *sub, bool is_resumed, const char *cursor);

/* subscriber_put_reset - something may be missing; data is JSON. As subscriber_put_open(). */
int subscriber_put_reset(struct subscriber *sub, const char *data);

/* subscriber_take_retry - when it is to come back, if it was not told yet; else 0. */
unsigned subscriber_take_retry(struct subscriber *sub);

#endif
