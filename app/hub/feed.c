#include "hub/feed_within.h"

#include <assert.h>

#include "base/clock.h"
#include "base/logger.h"
#include "hub/emit.h"
#include "hub/feed.h"
#include "hub/feed_logic.h"
#include "hub/silence.h"
#include "sse/event.h"

/* The ends of many */

void
feed_end_all(struct feed *fd, enum end_reason reason)
{
	struct list *node, *tmp;

	feed_flush(fd);
	LIST_FOREACH (node, tmp, &fd->out.joined)
		subscriber_end(LIST_ENTRY(node, struct subscriber, joined), reason);
}

/*
 * Ends those who were sent the last message. Subscribers that still wait for Redis's confirmation
 * have not had it. A subscriber that is still sent the past reads the log later, and ends there
 * where the others do.
 */
void
feed_end_open(struct feed *fd, enum end_reason reason)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->out.joined)
		subscriber_end_with_all(LIST_ENTRY(node, struct subscriber, joined), reason);
}

/*
 * What rate or batch hold back goes out first. A client that comes back is not given the last event
 * from the log, because the event does not say that it was the last.
 */
void
feed_end_for_good(struct feed *fd)
{
	feed_flush(fd);
	feed_end_open(fd, END_UNTIL);
	feed_release_log(fd);
}

/* Scripts */

static void
on_after(struct feed *fd)
{
	feed_offer_message(fd, NULL);
}

static int
open_script(struct feed *fd)
{
	struct stages *stages = &fd->class->settings->stages;
	const struct template_scope scope = {
	    .params = fd->params, .channel = "", .now = clock_unix()};
	uint64_t after_ms;
	int callback = stages_open(stages, &scope, &after_ms);

	if (after_ms > 0)
		feed_call_after(fd, after_ms, on_after);
	return callback;
}

int
feed_callback(struct feed *fd)
{
	if (fd->logic == NULL)
		return SCRIPT_NONE;
	if (fd->class->settings->stages.script != NULL && fd->logic->callback == SCRIPT_NONE)
		fd->logic->callback = open_script(fd);
	return fd->logic->callback;
}

static void
forget_script(struct feed *fd)
{
	feed_end_all(fd, END_RELOAD);
	if (fd->logic != NULL) {
		stages_close(&fd->class->settings->stages, fd->logic->callback);
		fd->logic->callback = SCRIPT_NONE;
	}
}

void
feed_check_script(struct feed *fd, const struct outcome *out)
{
	struct stages *stages = &fd->class->settings->stages;
	struct list *node, *tmp;

	if (!out->is_full || fd->logic == NULL)
		return;
	logger_warn("[route %s] script: what it keeps takes all the memory that it may have; its "
		    "subscribers come back, and it begins anew",
		    stages->route);
	forget_script(fd);
	if (!sandbox_is_crowded(stages->sandbox))
		return;
	LIST_FOREACH (node, tmp,
		      &fd->class->feeds) /* another feed of the route may have taken the memory */
		forget_script(LIST_ENTRY(node, struct feed, of_class));
}

/* Messages */

void
feed_tell_listeners(struct feed *fd, const struct event *ev, bool is_entry)
{
	struct feed_listener *l, *next;

	for (l = fd->listeners; l != NULL; l = next) {
		next = l->next;
		l->ops->event(l, ev, is_entry);
	}
}

/*
 * The sink of a live feed. Listeners are told first, then all subscribers get the event, when the
 * route's rate and batch allow it.
 */
struct live_sink {
	struct sink sink;
	struct feed *feed;
};

static void
put_live(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct feed *fd = LIST_ENTRY(to, struct live_sink, sink)->feed;
	const struct pace_settings *pace = &fd->class->settings->pace;
	struct buf *key = &fd->class->hub->key;
	int rc;

	if (feed_has_listeners(fd))
		feed_tell_listeners(fd, ev, of->id_len > 0);
	if (pace->rate.n == 0 && pace->batch.n == 0) {
		if ((rc = feed_emit(fd, ev)) < 0)
			feed_count_drop(fd, rc);
		return;
	}
	buf_truncate(key, 0);
	/* All messages without the field share one window, whose key no value can have. */
	if (pace->rate_by != NULL && template_expand(pace->rate_by, of, key) < 0 &&
	    (rc = buf_putc(key, '\0')) < 0) {
		feed_count_drop(fd, rc);
		return;
	}
	pace_event(&fd->logic->pace, ev, key, is_last);
}

static struct place
live_place(struct feed *fd)
{
	const struct cursor *c = feed_cursor(fd);

	if (fd->logic == NULL && fd->cursor == NULL)
		return (struct place){.callback = SCRIPT_NONE}; /* as most are */
	return (struct place){c->at, c->n, c->whose, feed_callback(fd)};
}

/* What the route's logic wants done now that the message is on its way. */
static void
follow_up(struct feed *fd, const struct outcome *out)
{
	feed_check_script(fd, out);
	if (out->after_ms > 0)
		feed_call_after(fd, out->after_ms, on_after);
	if (out->ends)
		feed_end_for_good(fd);
}

/* msg NULL: the script is called without a message. */
void
feed_offer_message(struct feed *fd, struct message *msg)
{
	struct live_sink live = {{put_live}, fd};
	struct place at = live_place(fd);
	struct outcome out = render_own(fd, &at, msg, &live.sink);

	follow_up(fd, &out);
}

/*
 * Is somebody sent what comes, now or later? Events that are held back are kept for a client that
 * comes back, and what comes meanwhile belongs to them.
 */
bool
feed_has_use(const struct feed *fd)
{
	return feed_is_wanted(fd) || feed_holds(fd);
}

/* The reset goes behind the events that came before the message. */
static void
tell_poison(struct feed *fd)
{
	feed_flush(fd);
	feed_reset(fd, RENDER_POISON);
}

void
feed_message(struct feed *fd, struct message *arrived)
{
	struct live_sink live = {{put_live}, fd};
	struct outcome out;
	struct place at;

	if (!feed_has_use(fd)) {
		/* Otherwise the log would be kept, and this message would be missing from it. */
		feed_release_log(fd);
		return;
	}
	at = live_place(fd);
	out = render(fd, &at, arrived, &live.sink);
	if (out.is_poison)
		tell_poison(fd);
	follow_up(fd, &out);
}

void
feed_reset(struct feed *fd, const char *data)
{
	feed_count(fd, COUNTER_RESETS, 1);
	if (fd->out.n_subs > fd->out.n_waiting && fd->class->settings->announce &&
	    feed_emit_own(fd, "stream-reset", data) < 0)
		feed_end_all(fd, END_SLOW); /* a client that comes back learns in this way that
					       something is missing */
}

/* Places */

/*
 * A client that was sent the held events when its stream ended must not get them twice, so all
 * others are sent them now. Any other client gets them from the log, as everybody does who is
 * there.
 */
const struct stream_id *
feed_place(struct feed *fd, const struct stream_id *from)
{
	const struct cursor *c = feed_cursor(fd);

	if (!feed_holds(fd))
		return c->at;
	for (unsigned i = 0; from != NULL && i < c->n; i++) {
		if (stream_id_compare(&from[i], &c->settled[i]) > 0) {
			feed_flush(fd);
			return c->at;
		}
	}
	return c->settled;
}

const struct cursor *
feed_cursor(const struct feed *fd)
{
	static const struct cursor none;

	return fd->cursor != NULL ? fd->cursor : &none;
}

/* Confirmed */

/*
 * A subscriber is opened here, or by its backlog, which is set if its client was away and must
 * first be sent what it missed. Only now, because before Redis's confirmation nobody knows up to
 * where the past goes.
 */
void
feed_open_one(struct feed *fd, struct subscriber *sub)
{
	static const struct buf nothing;
	const struct cursor *c = feed_cursor(fd);
	char cursor[CURSOR_TEXT];

	if (sub->backlog != NULL) {
		sub->backlog->ops->begin(sub->backlog);
		return;
	}
	if (c->n > 0)
		cursor_print(cursor, c->whose, feed_place(fd, NULL), c->n);
	subscriber_open(sub, c->n > 0 ? cursor : NULL,
			fd->logic != NULL ? &fd->logic->last : &nothing);
	if (fd->class->kind->opened != NULL)
		fd->class->kind->opened(fd, sub);
}

static void
tell_confirmed(struct feed *fd)
{
	struct feed_listener *l, *next;

	for (l = fd->listeners; l != NULL; l = next) {
		next = l->next;
		l->ops->confirmed(l);
	}
}

/* Redis has confirmed the last subscription: from now on no message can be missed. */
static void
open_all(struct feed *fd)
{
	struct list *node, *tmp;

	if (fd->was_confirmed && fd->out.n_subs > fd->out.n_waiting && !fd->class->kind->is_gapless)
		feed_reset(fd, "{\"reason\":\"redis\"}");
	fd->was_confirmed = true;
	feed_heard(fd);
	tell_confirmed(fd);
	if (fd->out.n_waiting == 0)
		return;
	LIST_FOREACH (node, tmp, &fd->out.joined) {
		struct subscriber *sub = LIST_ENTRY(node, struct subscriber, joined);

		if (sub->state == SUBSCRIBER_WAITING)
			feed_open_one(fd, sub);
	}
}

void
feed_confirmed(struct feed *fd)
{
	assert(fd->n_unconfirmed > 0);
	if (--fd->n_unconfirmed == 0)
		open_all(fd);
}

void
feed_await(struct feed *fd)
{
	fd->n_unconfirmed++;
}
