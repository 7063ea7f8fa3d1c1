#ifndef SLUICE_SOURCE_LIVE_H
#define SLUICE_SOURCE_LIVE_H

/*
 * live - what a feed keeps that is sent to all who follow it, and of which some are sent what came
 * before: who is being sent it (replay), the newest part of the log (replay_buffer), keys whose
 * values are being read (keyspace).
 */
#include "hub/source.h"

struct live {
	struct list replays; /* of subscribers that are sent the past */
	/*
	 * Replays for whose snapshot Redis was asked; and replays that came since then, for the
	 * next question.
	 */
	struct list snapshot_asked, snapshot_wanted;
	bool holds_log;
	uint64_t replay_buffer_from; /* the log is held from here on */
	struct list operations;      /* operations of keys whose values are being read */
	bool has_lost_operations;
};

/* live_of - of a feed that is no queue; NULL: it has none yet. */
static inline struct live *
live_of(const struct feed *fd)
{
	return fd->kept;
}

struct live *live_need(struct feed *fd); /* NULL: out of memory */

/* live_tell_change - tells the subscribers by stream-reset. */
void live_tell_change(struct feed *fd, enum stream_change change);

/* replay.c */
/*
 * replay_plan - sub, which joins fd, will be sent the past. from is the client's Last-Event-ID, or
 * NULL: then the past begins where the route's section says. Returns 0, even if there is nothing to
 * send; -ENOMEM.
 */
int replay_plan(struct feed *fd, struct subscriber *sub, const char *from);
void replay_go_on(struct feed *fd); /* the feed's cursor has moved */
/* replay_open_script - opens the route's script once more, for messages of the past alone. */
int replay_open_script(struct feed *fd);

/* replay_buffer.c */
void replay_buffer_hold(
    struct feed *fd); /* an event is about to be appended, and must be held for a while */
void replay_buffer_release(struct feed *fd);
/*
 * replay_buffer_find - does the log still hold the event with these ids? Sets where the next frame
 * begins, and how many events there are from there on.
 */
bool
replay_buffer_find(struct feed *fd, const struct stream_id *ids, uint64_t *at, unsigned *n_behind);

#endif
