#ifndef SLUICE_HUB_SILENCE_H
#define SLUICE_HUB_SILENCE_H

/*
 * silence - what happens when no message comes: heartbeats, and the end of a feed whose route has
 * abandoned.
 */
#include "hub/feed_logic.h"
#include "hub/source.h"

void feed_beat(struct feed *fd);    /* sends a heartbeat */
void feed_abandon(struct feed *fd); /* nothing has come for as long as the route waits */

/*
 * False for a queue and for a connection that carries others: that nothing comes says nothing
 * there.
 */
static inline bool
class_counts_silence(const struct feed_class *fc)
{
	return fc->settings->abandoned_ms > 0 && !fc->kind->may_be_silent &&
	       fc->handler->kind != HANDLER_MUX;
}

static inline bool
feed_counts_silence(const struct feed *fd)
{
	return class_counts_silence(fd->class) && fd->logic != NULL && fd->n_unconfirmed == 0;
}

/* Somebody is there: the time without a message begins to count, if it does not yet. */
static inline void
feed_listen(struct feed *fd)
{
	if (feed_counts_silence(fd) && list_is_empty(&fd->logic->silence.node))
		fifo_add(&fd->class->silences, &fd->logic->silence);
}

/* A message has come: the time without one begins anew. */
static inline void
feed_heard(struct feed *fd)
{
	if (feed_counts_silence(fd))
		fifo_add(&fd->class->silences, &fd->logic->silence);
}

/* Nothing can come now, so the time without a message does not count. */
static inline void
feed_deaf(struct feed *fd)
{
	if (fd->logic != NULL)
		fifo_del(&fd->logic->silence);
}

#endif
