/*
 * silence.c - what happens when no message comes: heartbeats, and at last the end, if the route has
 * abandoned.
 */
#include "hub/silence.h"

#include <string.h>

#include "base/clock.h"
#include "hub/emit.h"
#include "hub/feed_logic.h"
#include "hub/feed_within.h"
#include "sse/event.h"
#include "sse/wire.h"

/* Writes the heartbeat's frame into the hub's buffer. */
static int
encode_heartbeat(struct feed *fd)
{
	const struct feed_settings *fs = fd->class->settings;
	struct hub *hub = fd->class->hub;
	struct event ev = {.type = fs->heartbeat_event, .type_len = strlen(fs->heartbeat_event)};
	struct template_scope scope = {.params = fd->params, .now = clock_unix()};
	int rc;

	buf_truncate(&hub->frame, 0);
	buf_truncate(&hub->type, 0);
	if (fs->heartbeat_data != NULL) {
		if ((rc = template_expand(fs->heartbeat_data, &scope, &hub->type)) < 0)
			return rc;
		ev.data = hub->type.p;
		ev.data_len = hub->type.len;
	}
	return fd->out.log.wire->heartbeat(&hub->frame, &ev);
}

/*
 * The heartbeat is encoded once, as every event. A subscriber that waits for Redis's confirmation
 * gets a copy of the same bytes.
 */
void
feed_beat(struct feed *fd)
{
	struct buf *frame = &fd->class->hub->frame;
	struct list *node, *tmp;

	fifo_add(&fd->class->beats, &fd->due);
	feed_release_log(fd);
	if (fd->out.n_subs == 0 || encode_heartbeat(fd) < 0)
		return;
	if (feed_append(fd, frame, false) == 0)
		outlet_check_slow(&fd->out);
	if (fd->out.n_waiting == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->out.joined)
		subscriber_put_heartbeat(LIST_ENTRY(node, struct subscriber, joined), frame->p,
					 frame->len);
}

/* Makes the event of abandoned_data, with the route's event name if that needs no message. */
static int
make_abandoned(struct feed *fd, struct event *ev)
{
	const struct feed_settings *fs = fd->class->settings;
	const struct template_scope scope = {
	    .params = fd->params, .channel = "", .now = clock_unix()};
	struct buf *data = &fd->class->hub->key, *type = &fd->class->hub->type;
	int rc;

	buf_truncate(data, 0);
	buf_truncate(type, 0);
	if ((rc = template_expand(fs->abandoned_data, &scope, data)) < 0)
		return rc;
	*ev = (struct event){.data = data->p, .data_len = data->len};
	if (fs->event == NULL || template_expand(fs->event, &scope, type) < 0)
		return 0;
	ev->type = type->p;
	ev->type_len = type->len;
	if (event_fault(ev) != NULL)
		ev->type_len = 0;
	return 0;
}

/* The event has no id of a stream, because no client can come back to it. */
static int
put_abandoned(struct feed *fd)
{
	struct buf *frame = &fd->class->hub->frame;
	struct event ev;
	int rc;

	if ((rc = make_abandoned(fd, &ev)) < 0)
		return rc;
	buf_truncate(frame, 0);
	if ((rc = fd->out.log.wire->event(frame, &ev, NULL)) < 0 ||
	    (rc = feed_append(fd, frame, true)) < 0)
		return rc;
	feed_count(fd, COUNTER_EVENTS, 1);
	feed_tell_listeners(fd, &ev, false);
	outlet_check_slow(&fd->out);
	return 0;
}

/* If nobody is there, the time counts again from the next subscriber on. */
void
feed_abandon(struct feed *fd)
{
	int rc = 0;

	if (list_is_empty(&fd->out.joined) && !feed_has_listeners(fd))
		return;
	feed_flush(fd);
	feed_release_log(fd);
	if (fd->class->settings->abandoned_data != NULL && (rc = put_abandoned(fd)) < 0)
		feed_count_drop(fd, rc);
	feed_end_open(fd, END_ABANDONED);
	if (!list_is_empty(&fd->out.joined) || feed_has_listeners(fd))
		feed_listen(fd);
}
