/*
 * stream.c - streams: each entry has an id, and can be read again. If their reader finds that
 * something is lost, the subscribers are told.
 */
#include "source/kinds.h"
#include "source/live.h"

static void
on_begin(struct source *so)
{
	if (subscription_is_confirmed(&so->sn))
		source_take_position(so);
}

static void
on_confirmed(struct source *so)
{
	source_take_position(so);
	source_ready(so);
}

static void
on_entry(struct source *so, struct message *msg, const struct stream_id *id)
{
	struct feed *fd = so->feed;

	if (stream_id_compare(id, &fd->cursor->at[so->sn.index]) <= 0)
		return; /* it subscribed later */
	source_advance(so, id);
	feed_message(fd, msg);
	replay_go_on(fd);
}

static void
on_changed(struct source *so, enum stream_change change)
{
	source_take_position(so);
	live_tell_change(so->feed, change);
}

const struct source_kind source_stream = {.name = "stream",
					  .is_resumable = true,
					  .begin = on_begin,
					  .confirmed = on_confirmed,
					  .message = on_entry,
					  .changed = on_changed};
