#ifndef SLUICE_HUB_FEED_LIFE_H
#define SLUICE_HUB_FEED_LIFE_H

/*
 * feed_life - the end of a feed, for what holds feeds. How one begins, and who joins it, stands in
 * feed.h.
 */
#include "hub/feed.h"
#include "hub/outlet.h"

extern const struct outlet_ops feed_outlet_ops; /* of all feeds */

void feed_free(struct feed *fd);
void feed_bury(struct feed *fd); /* it has no subscriber: it is freed at the turn's end */

/* feed_begin_tended - makes the feed of a class whose handler has a tend(). */
void feed_begin_tended(struct feed_class *fc);

#endif
