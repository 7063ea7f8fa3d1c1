#ifndef SLUICE_HUB_FEED_LOGIC_H
#define SLUICE_HUB_FEED_LOGIC_H

/*
 * feed_logic - what a feed has only if its section or its handler needs it: a script, a rate or a
 * batch, abandoned, a timer, questions to Redis, the newest event for later subscribers.
 */
#include <uv.h>

#include "base/buf.h"
#include "base/closing.h"
#include "hub/feed_state.h"
#include "hub/pace.h"

struct feed_logic {
	struct feed *feed;
	int callback; /* of the route's script */
	struct pace pace;
	uv_timer_t timer; /* the handler's */
	uv_timer_t after; /* the script's */
	void (*on_after)(struct feed *fd);
	bool has_timers;          /* they were needed */
	struct closing closing;   /* of them */
	struct fifo_node silence; /* in class->silences, since the last message */
	struct list asks;
	bool is_reply_refused; /* the newest reply was an error that will not go away by itself */
	struct buf last;       /* the newest event's frame */
	bool keeps_last, only_changes;
	feed_flushed_fn on_flushed; /* NULL: nobody asks */
};

int feed_need_logic(struct feed *fd); /* 0, also if it has one already; -ENOMEM */
void feed_end_logic(struct feed *fd);

/* feed_call_after - calls fn once, ms from now. An earlier request to call is forgotten. */
void feed_call_after(struct feed *fd, uint64_t ms, void (*fn)(struct feed *fd));

/*
 * feed_ask_words - asks Redis the command of these templates, as feed_ask(). -ENOENT: there are
 * none.
 */
int feed_ask_words(struct feed *fd, struct template *const *words, feed_reply_fn fn);

/* feed_reply_is_refused - was the newest reply an error that will not go away by itself? */
static inline bool
feed_reply_is_refused(const struct feed *fd)
{
	return fd->logic != NULL && fd->logic->is_reply_refused;
}

/* feed_holds - does rate or batch hold events back? */
static inline bool
feed_holds(const struct feed *fd)
{
	return fd->logic != NULL && pace_holds(&fd->logic->pace);
}

/* feed_flush - sends the events that are held back now. */
static inline void
feed_flush(struct feed *fd)
{
	if (fd->logic != NULL)
		pace_flush(&fd->logic->pace);
}

#endif
