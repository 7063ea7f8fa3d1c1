/*
 * replay_snapshot.c - the snapshot of a route: a client is sent it in place of everything before.
 * If the route says so, it also tells where the stream begins behind it.
 */
#include "source/replay_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hub/feed_logic.h"
#include "logic/reply.h"
#include "source/live.h"

enum { COMMAND_MAX = 256 };

/* There is no such key. */
static int
keep_missing(struct replay *rp)
{
	const struct template *t = rp->feed->class->settings->snapshot_missing;
	const struct template_scope scope = {.params = rp->feed->params, .now = clock_unix()};
	struct buf text;
	int rc;

	if (t == NULL)
		return 0;
	buf_init(&text, BUF_CAP_MAX);
	if ((rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0) {
		rp->snapshot = text.p;
		rp->snapshot_len = text.len - 1;
		return 0;
	}
	buf_fini(&text);
	return rc;
}

static bool
is_of_no_key(const struct feed *fd, const char *bytes, size_t len)
{
	const struct template_scope scope = {.params = fd->params, .channel = ""};
	struct buf command;
	bool is_of_none;

	if (bytes == NULL)
		return true;
	buf_init(&command, COMMAND_MAX);
	is_of_none = template_expand(fd->class->settings->snapshot[0], &scope, &command) == 0 &&
		     buf_putc(&command, '\0') == 0 && reply_is_of_no_key(command.p, bytes, len);
	buf_fini(&command);
	return is_of_none;
}

/* Returns SNAPSHOT_UNREAD if memory is short. */
static enum snapshot_state
keep_snapshot(struct replay *rp, struct message *reply)
{
	const char *bytes;
	size_t len;

	bytes = message_bytes(reply, &len);
	if (is_of_no_key(rp->feed, bytes, len))
		return keep_missing(rp) == 0 ? SNAPSHOT_MISSING : SNAPSHOT_UNREAD;
	if ((rp->snapshot = malloc(len + 1)) == NULL)
		return SNAPSHOT_UNREAD;
	memcpy(rp->snapshot, bytes, len);
	rp->snapshot[len] = '\0';
	rp->snapshot_len = len;
	return SNAPSHOT_READ;
}

static void ask_snapshot(struct feed *fd);

/*
 * If Redis refuses the snapshot, the stream goes on without; if it does not answer, it is asked
 * again.
 */
static void
on_snapshot(struct feed *fd, struct message *reply)
{
	bool is_refused = reply == NULL && feed_reply_is_refused(fd);

	while (!list_is_empty(&live_of(fd)->snapshot_asked)) {
		struct replay *rp =
		    LIST_ENTRY(live_of(fd)->snapshot_asked.next, struct replay, of_snapshot);

		list_del(&rp->of_snapshot);
		if (reply != NULL)
			rp->snapshot_state = keep_snapshot(rp, reply);
		else
			rp->snapshot_state = is_refused ? SNAPSHOT_REFUSED : SNAPSHOT_UNREAD;
		if (rp->snapshot_state == SNAPSHOT_UNREAD)
			rp->has_failed = true;
		replay_answered(rp);
	}
	ask_snapshot(fd);
}

/*
 * One reading serves all subscribers who had taken their place before it was asked. A subscriber
 * that comes while it is on its way needs another: what is published in between may be in neither.
 */
static void
ask_snapshot(struct feed *fd)
{
	if (list_is_empty(&live_of(fd)->snapshot_wanted) ||
	    !list_is_empty(&live_of(fd)->snapshot_asked))
		return;
	list_splice_tail(&live_of(fd)->snapshot_asked, &live_of(fd)->snapshot_wanted);
	if (feed_ask_words(fd, fd->class->settings->snapshot, on_snapshot) < 0) {
		on_snapshot(fd, NULL);
	}
}

void
replay_want_snapshot(struct replay *rp)
{
	if (rp->snapshot_state != SNAPSHOT_UNREAD || rp->feed->class->settings->snapshot == NULL ||
	    replay_is_known(rp))
		return;
	rp->n_pending++;
	list_move_tail(&live_of(rp->feed)->snapshot_wanted, &rp->of_snapshot);
	ask_snapshot(rp->feed);
}

/*
 * Reads the place that the snapshot names, and whether it is one of ours. Returns 0; -ENOENT: it
 * names none.
 */
static int
read_where(struct replay *rp, bool *is_ours)
{
	const struct template *t = rp->feed->class->settings->snapshot_from;
	struct message msg;
	const struct template_scope scope = {
	    .params = rp->feed->params, .channel = "", .msg = &msg};
	struct buf text;
	int rc;

	buf_init(&text, CURSOR_TEXT);
	message_init(&msg, "", 0, rp->snapshot, rp->snapshot_len);
	if ((rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0)
		*is_ours = replay_parse_client(rp, text.p) == NULL;
	message_fini(&msg);
	buf_fini(&text);
	return rc;
}

/*
 * Begins as if the client had come with this id. If the key does not exist, nothing need be said.
 */
void
replay_begin_where_it_says(struct replay *rp)
{
	bool is_ours = false;
	int rc;

	if (rp->snapshot == NULL ||
	    ((rc = read_where(rp, &is_ours)) == -ENOENT && rp->snapshot_state == SNAPSHOT_MISSING))
		return;
	rp->begins = REPLAY_FROM_SNAPSHOT;
	rp->overruled = rp->unknown;
	rp->unknown = rc == 0 && is_ours ? NULL : REPLAY_UNKNOWN_ID;
}
