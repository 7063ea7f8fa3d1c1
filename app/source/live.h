#ifndef SLUICE_SOURCE_LIVE_H
#define SLUICE_SOURCE_LIVE_H

/*
 * live - what a feed keeps that is sent to all who follow it, and of which some are sent what came
 * before: who is being sent it (replay), the newest part of the log (replay_buffer), keys whose
 * values are being read (keyspace).
 */
#include "hub/source.h"

struct live {
	struct list replays; /* of subscribers that are sent what came before them */
	/* Replays for which the snapshot was asked, and those that came since: for the next. */
	struct list snapshot_asked, snapshot_wanted;
	bool holds_log;
	uint64_t replay_buffer_from; /* from here on the log is held */
	struct list operations;      /* of keys, whose values are being read */
	bool has_lost_operations;
};

/* live_of - of a feed that is no queue; NULL: it keeps nothing yet. */
static inline struct live *
live_of(const struct feed *fd)
{
	return fd->kept;
}

struct live *live_need(struct feed *fd); /* NULL: out of memory */

/* live_tell_change - tell those who are there, by stream-reset. */
void live_tell_change(struct feed *fd, enum stream_change change);

/* replay.c */
/*
 * replay_plan - sub, which joins fd, is to be sent what came before: from is the client's
 * Last-Event-ID, or NULL to begin where the route's section says. Returns 0, also if there is
 * nothing to be sent; -ENOMEM.
 */
int replay_plan(struct feed *fd, struct subscriber *sub, const char *from);
void replay_go_on(struct feed *fd); /* the feed's cursor has moved */
/* replay_open_script - a run of the route's script that sees the past alone. */
int replay_open_script(struct feed *fd);

/* replay_buffer.c */
void replay_buffer_hold(struct feed *fd); /* an event will be appended: hold it for a while */
void replay_buffer_release(struct feed *fd);
/* replay_buffer_find - does the log still hold the event with these ids? Then where the next frame
 * begins, and how many events there are from there on. */
bool
replay_buffer_find(struct feed *fd, const struct stream_id *ids, uint64_t *at, unsigned *n_behind);

#endif
