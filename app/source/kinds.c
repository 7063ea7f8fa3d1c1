#include "source/kinds.h"

#include <stdlib.h>

#include "source/keyspace.h"
#include "source/live.h"
#include "source/queue.h"

static void
live_end(struct feed *fd)
{
	if (fd->kept == NULL)
		return;
	replay_buffer_release(fd);
	keyspace_forget(fd);
	free(fd->kept);
	fd->kept = NULL;
}

/* All subscribers are sent what comes, and a client that was away also what came meanwhile. */
static const struct feed_kind live = {
    .name = "live",
    .follows =
	{
	    [SUBJECT_CHANNEL] = &source_channel,
	    [SUBJECT_PATTERN] = &source_channel,
	    [SUBJECT_STREAM] = &source_stream,
	    [SUBJECT_KEYSPACE] = &source_keyspace,
	},
    .end = live_end,
    .join = replay_plan,
    .hold = replay_buffer_hold,
    .release = replay_buffer_release,
};

/* What was missed is read from the channels' logs. */
static const struct feed_kind recorded = {
    .name = "recorded",
    .is_gapless = true,
    .follows = {[SUBJECT_CHANNEL] = &source_recorded},
    .end = live_end,
    .join = replay_plan,
    .hold = replay_buffer_hold,
    .release = replay_buffer_release,
};

/*
 * Each entry goes to one subscriber, and the group remembers the place. That no message comes does
 * not mean the end: there is no work at the moment.
 */
static const struct feed_kind queue = {
    .name = "queue",
    .is_gapless = true,
    .may_be_silent = true,
    .follows = {[SUBJECT_STREAM] = &source_queue, [SUBJECT_CHANNEL] = &source_acked},
    .begin = queue_begin,
    .end = queue_end,
    .opened = queue_joined,
    .left = queue_left,
    .flushed = queue_flushed,
};

const struct feed_kind *
feed_kind_of(const struct handler *h, const struct feed_settings *fs)
{
	if (h->kind == HANDLER_QUEUE)
		return &queue;
	return fs->record > 0 ? &recorded : &live;
}
