#ifndef SLUICE_HUB_FEED_WITHIN_H
#define SLUICE_HUB_FEED_WITHIN_H

/*
 * feed_within - what other files of hub/ call of feed.c. What a source calls stands in source.h,
 * what the folders above call in feed.h.
 */
#include "hub/source.h"

/* feed_tell_listeners - calls event() of each; see source.h. */
void feed_tell_listeners(struct feed *fd, const struct event *ev, bool is_entry);

/*
 * feed_end_open - ends those who were sent the last message, and not those who still wait for
 * Redis.
 */
void feed_end_open(struct feed *fd, enum end_reason reason);
void feed_end_for_good(struct feed *fd); /* sends what is held back first */
void feed_end_all(struct feed *fd, enum end_reason reason);
void feed_offer_message(struct feed *fd, struct message *msg); /* NULL: the script alone */

/* feed_open_one - Redis has confirmed. A subscriber with a backlog opens later, by itself. */
void feed_open_one(struct feed *fd, struct subscriber *sub);

/* The log need not be held any more, because what comes now does not stand in it. */
static inline void
feed_release_log(struct feed *fd)
{
	if (fd->class->kind->release != NULL)
		fd->class->kind->release(fd);
}

#endif
