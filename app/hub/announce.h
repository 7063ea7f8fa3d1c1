#ifndef SLUICE_HUB_ANNOUNCE_H
#define SLUICE_HUB_ANNOUNCE_H

/*
 * announce - what a stream says about itself: that it is open, that something may be missing, that
 * it ends and why. A route may leave these events out. Its id, and when to come back, a client is
 * told in any case.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "hub/settings.h"
#include "hub/subscriber.h"

struct wire;

/*
 * subscriber_put_end - appends the last frame of a stream that ends for this reason, as the
 * settings say. retry_ms 0: the client knows already when to come back. Returns 0, -EMSGSIZE,
 * -ENOMEM.
 */
int subscriber_put_end(struct buf *b, const struct wire *wire, const struct feed_settings *fs,
		       enum end_reason reason, unsigned retry_ms);

/*
 * subscriber_put_open - appends the first frame to the subscriber's own bytes. cursor: where the
 * client stands; NULL: nowhere. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int subscriber_put_open(struct subscriber *sub, bool is_resumed, const char *cursor);

/*
 * subscriber_put_reset - appends that something may be missing; data is JSON. Returns as
 * subscriber_put_open().
 */
int subscriber_put_reset(struct subscriber *sub, const char *data);

/* announce_retry_ms - when one client of the route is to come back: no two are told the same. */
unsigned announce_retry_ms(const struct feed_settings *fs);

/* subscriber_take_retry - when the client is to come back, if it was not told yet; else 0. */
unsigned subscriber_take_retry(struct subscriber *sub);

#endif
