#ifndef SLUICE_HUB_FEED_PARTS_H
#define SLUICE_HUB_FEED_PARTS_H

/*
 * feed_parts - what the files of a feed call of each other: emit.c (into the log), feed.c
 * (messages), silence.c (heartbeats, and the end of one to which nothing comes), feed_life.c (begin
 * and end).
 */
#include "hub/feed_logic.h"
#include "hub/source.h"

/* emit.c */
/*
 * feed_append - appends a frame for all who are there; the feed's silence begins anew. is_event: it
 * is not about the stream itself. Returns 0, -ENOMEM.
 */
int feed_append(struct feed *fd, const struct buf *frame, bool is_event);
/*
 * feed_emit_own - appends an event about the stream itself, which does not count as an event.
 * Returns 0, or < 0.
 */
int feed_emit_own(struct feed *fd, const char *type, const char *data);

/* feed.c */
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

/* silence.c */
void feed_beat(struct feed *fd);    /* send a heartbeat */
void feed_abandon(struct feed *fd); /* nothing has come for as long as the route waits */

/* feed_life.c */
void feed_free(struct feed *fd);
void feed_bury(struct feed *fd); /* it has no subscriber: free it at the turn's end */
/* feed_begin_tended - makes the feed of a class whose handler has a tend(). */
void feed_begin_tended(struct feed_class *fc);

/* The log need not be held any more, because what comes now does not stand in it. */
static inline void
feed_release_log(struct feed *fd)
{
	if (fd->class->kind->release != NULL)
		fd->class->kind->release(fd);
}

static inline bool
feed_has_listeners(const struct feed *fd)
{
	return !list_is_empty(&fd->listeners);
}

/*
 * False for a queue and for a connection that carries others: that nothing comes says nothing
 * there.
 */
static inline bool
feed_counts_silence(const struct feed *fd)
{
	return fd->class->settings->abandoned_ms > 0 && fd->n_unconfirmed == 0 &&
	       !fd->class->kind->may_be_silent && fd->class->handler->kind != HANDLER_MUX;
}

/* Somebody is there: the time without a message begins to count, if it does not yet. */
static inline void
feed_listen(struct feed *fd)
{
	if (feed_counts_silence(fd) && list_is_empty(&fd->silence.node))
		fifo_add(&fd->class->silences, &fd->silence);
}

/* A message has come: the time without one begins anew. */
static inline void
feed_heard(struct feed *fd)
{
	if (feed_counts_silence(fd))
		fifo_add(&fd->class->silences, &fd->silence);
}

/* Nothing can come now, so the time without a message does not count. */
static inline void
feed_deaf(struct feed *fd)
{
	fifo_del(&fd->silence);
}

#endif
