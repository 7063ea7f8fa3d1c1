/*
 * replay - what came in a feed's streams before a subscriber, exactly once: from where the client
 * stood (its Last-Event-ID) up to its place in the feed's log. It is read page by page as the
 * client takes it, so a long past costs no more memory than a short one.
 *
 * It goes in rounds. A round begins by taking a place in the log, and with it the feed's cursor is
 * known: up to there the streams are read. If a page of each is all, the client goes on in the log
 * from its place. If there is more, the place is given up, so that the log need not be held for a
 * slow client; and once all of the round was read and taken, the next one begins.
 */
#include "source/replay_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "source/live.h"

static void go_on(struct replay *rp);
static void on_again(uv_timer_t *timer);
static void on_begin(struct backlog *backlog);
static void on_taken(struct backlog *backlog);
static void recall(struct replay *rp);
static void look(struct replay *rp);
static void read_on(struct replay *rp);

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

/* The subscriber does not need it any more. */
static void
let_go(struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		past_cancel(&rp->parts[i].reading);
		replay_forget_entries(&rp->parts[i]);
	}
	replay_leave_place(rp);
	list_del(&rp->of_feed);
	list_del(&rp->of_snapshot);
	stages_close(&rp->feed->class->settings->stages, rp->callback);
	batch_fini(&rp->batch);
	free(rp->snapshot);
	rp->sub->backlog = NULL;
	uv_close((uv_handle_t *)&rp->again, on_timer_closed);
}

static struct replay *
replay_of(struct backlog *backlog)
{
	return LIST_ENTRY(backlog, struct replay, backlog);
}

static void
on_cancel(struct backlog *backlog)
{
	let_go(replay_of(backlog));
}

static const struct backlog_ops backlog_ops = {
    .begin = on_begin, .taken = on_taken, .cancel = on_cancel};

static struct replay *
replay_new(struct feed *fd, struct subscriber *sub)
{
	unsigned n = feed_cursor(fd)->n, i;
	struct replay *rp = calloc(1, sizeof(*rp) + n * sizeof(rp->parts[0]));

	if (rp == NULL)
		return NULL;
	rp->backlog.ops = &backlog_ops;
	rp->on_answered = go_on;
	rp->on_again = on_again;
	rp->feed = fd;
	rp->sub = sub;
	rp->n = n;
	rp->callback = SCRIPT_NONE;
	list_init(&rp->of_snapshot);
	batch_init(&rp->batch, PACE_TEXT_MAX);
	for (i = 0; i < n; i++)
		rp->parts[i].rp = rp;
	uv_timer_init(fd->class->hub->loop, &rp->again);
	rp->again.data = rp;
	list_add_tail(&live_of(fd)->replays, &rp->of_feed);
	return rp;
}

int
replay_plan(struct feed *fd, struct subscriber *sub, const char *from)
{
	const struct feed_settings *fs = fd->class->settings;
	bool has_streams = feed_cursor(fd)->n > 0;
	struct replay *rp;

	if (fs->snapshot == NULL &&
	    (!has_streams || (from == NULL && !fs->start.is_beginning && fs->start.last == 0)))
		return 0;
	if (live_need(fd) == NULL || (rp = replay_new(fd, sub)) == NULL)
		return -ENOMEM;
	if (has_streams && from != NULL) {
		rp->begins = REPLAY_FROM_CLIENT;
		rp->unknown = replay_parse_client(rp, from);
	} else if (has_streams && (fs->start.is_beginning || fs->start.last > 0)) {
		rp->begins = REPLAY_FROM_START;
	}
	sub->backlog = &rp->backlog;
	return 0;
}

int
replay_open_script(struct feed *fd)
{
	const struct template_scope scope = {
	    .params = fd->params, .channel = "", .now = clock_unix()};
	uint64_t after_ms;

	return stages_open(&fd->class->settings->stages, &scope, &after_ms);
}

/* Does the feed also follow channels, whose messages stand nowhere but in the log? */
static bool
has_channels(const struct feed *fd)
{
	const struct source *so;

	for (so = fd->sources; so != NULL; so = so->next) {
		if (!source_kind(so)->is_resumable)
			return true;
	}
	return false;
}

static void
end(struct replay *rp, enum end_reason reason)
{
	struct subscriber *sub = rp->sub;

	let_go(rp);
	subscriber_end(sub, reason);
}

/* Sends as many entries as there is room for. Returns false if the stream has ended. */
static bool
send_entries(struct replay *rp)
{
	bool ends;

	if (replay_put_entries(rp, &ends) < 0)
		end(rp, END_SLOW);
	else if (ends)
		end(rp, END_UNTIL);
	else if (replay_has_had_all(rp))
		end(rp, END_MAX_EVENTS);
	else
		return true;
	return false;
}

/* Sends the first frames. Returns false if the stream has ended. */
static bool
begin(struct replay *rp)
{
	rp->has_begun = true;
	rp->callback = replay_open_script(rp->feed);
	if (replay_put_beginning(rp) < 0) {
		end(rp, END_SLOW);
		return false;
	}
	if (rp->ends) {
		end(rp, END_UNTIL);
		return false;
	}
	subscriber_begin_times(rp->sub);
	return true;
}

/* If the end of a stream is before our place in it, it was begun anew. Returns 0, or < 0. */
static int
tell_begun_anew(struct replay *rp)
{
	bool is_some = false;
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct replay_part *part = &rp->parts[i];

		if (stream_id_compare(&part->from, &part->to) <= 0)
			continue;
		part->from = (struct stream_id){0, 0};
		part->is_entry = false;
		is_some = true;
	}
	return is_some ? replay_put_reset(rp, REPLAY_UNKNOWN_ID) : 0;
}

/*
 * Messages that stand only in the log may have passed while there was no place in it. Then the
 * client is told.
 */
static int
tell_missed(struct replay *rp, uint32_t n_feed_events)
{
	if (!has_channels(rp->feed) || rp->feed->out.n_events == n_feed_events)
		return 0;
	return replay_put_reset(rp, "{\"reason\":\"slow\"}");
}

static void
next_round(struct replay *rp)
{
	uint32_t n_feed_events = rp->n_feed_events;

	replay_take_place(rp);
	if (tell_begun_anew(rp) < 0 || tell_missed(rp, n_feed_events) < 0) {
		end(rp, END_SLOW);
		return;
	}
	replay_set_round(rp);
	if (!replay_ask_pages(rp))
		read_on(rp);
}

static void
on_again(uv_timer_t *timer)
{
	struct replay *rp = timer->data;

	if (rp->has_begun)
		next_round(rp);
	else if (rp->state == REPLAY_RECALLING)
		recall(rp);
	else
		look(rp);
}

/* Can a message end the route's streams? */
static bool
can_end(const struct feed *fd)
{
	const struct stages *stages = &fd->class->settings->stages;

	return stages->until != NULL || stages->script != NULL ||
	       fd->class->handler->message != NULL;
}

/* Each replay runs the script from its beginning, so it depends only on what this replay sends. */
static void
forget_script(struct replay *rp)
{
	stages_close(&rp->feed->class->settings->stages, rp->callback);
	rp->callback = SCRIPT_NONE;
}

static void
recall(struct replay *rp)
{
	rp->state = REPLAY_RECALLING;
	forget_script(rp);
	rp->callback = replay_open_script(rp->feed);
	replay_expect(rp);
	replay_ask_said(rp);
	replay_answered(rp);
}

/* If the client does not say where it stands, the snapshot may. */
static bool
is_to_be_asked(const struct replay *rp)
{
	return rp->feed->class->settings->snapshot_from != NULL && rp->n > 0 &&
	       rp->snapshot_state == SNAPSHOT_UNREAD && !replay_is_known(rp);
}

static void
ask_where(struct replay *rp)
{
	rp->state = REPLAY_ASKING;
	replay_expect(rp);
	replay_take_place(rp);
	replay_want_snapshot(rp);
	replay_answered(rp);
}

static void
look(struct replay *rp)
{
	if (is_to_be_asked(rp)) {
		ask_where(rp);
		return;
	}
	rp->state = REPLAY_LOOKING;
	rp->is_trimmed = false;
	replay_expect(rp);
	replay_take_place(rp);
	if (replay_has_past(rp))
		replay_ask_info(rp);
	replay_answered(rp);
}

/*
 * If the gap is long, or there is no id, the client gets only the newest entries: asks where they
 * begin. Returns whether there is anything to wait for.
 */
static bool
count(struct replay *rp)
{
	replay_expect(rp);
	replay_want_snapshot(rp);
	replay_ask_counts(rp);
	return replay_waits(rp);
}

/* Its way */

static bool
is_all_sent(const struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		if (rp->parts[i].at < rp->parts[i].n_v || !rp->parts[i].has_reached)
			return false;
	}
	return true;
}

/* Everything has been sent: from its place on the subscriber reads the log. */
static void
finish(struct replay *rp)
{
	struct subscriber *sub = rp->sub;
	uint64_t place = rp->place;
	uint32_t n_feed_events = rp->n_feed_events, n_events = (uint32_t)rp->n_events;

	if (replay_put_rest(rp) < 0) {
		end(rp, END_SLOW);
		return;
	}
	rp->has_place = false; /* the place belongs to the subscriber now */
	let_go(rp);
	subscriber_go_on(sub, place, n_feed_events, n_events);
}

/* All answers have come, and the client has taken what it was sent: decides what to do next. */
static void
read_on(struct replay *rp)
{
	if (!send_entries(rp))
		return;
	if (is_all_sent(rp) && rp->has_place) {
		finish(rp);
		return;
	}
	replay_leave_place(rp);
	if (rp->sub->own.len > 0)
		subscriber_has_more(rp->sub);
	else if (is_all_sent(rp))
		next_round(rp);
	else
		(void)replay_ask_pages(rp);
}

static void
go_on(struct replay *rp)
{
	switch (rp->state) {
	case REPLAY_RECALLING:
		forget_script(rp);
		if (!rp->ends)
			look(rp);
		else
			(void)begin(rp);
		break;
	case REPLAY_ASKING:
		replay_begin_where_it_says(rp);
		look(rp);
		break;
	case REPLAY_LOOKING:
		if (is_to_be_asked(rp)) { /* Redis says that the client's id is none */
			ask_where(rp);
			return;
		}
		if (replay_is_ahead(rp)) {
			rp->state = REPLAY_LAGGING;
			replay_leave_place(rp);
			return;
		}
		replay_take_later_place(rp);
		rp->state = REPLAY_COUNTING;
		replay_set_first_round(rp);
		/* fall through */
	case REPLAY_COUNTING:
		if (count(rp))
			return;
		rp->state = REPLAY_READING;
		if (replay_ask_pages(rp))
			return;
		/* fall through */
	case REPLAY_READING:
		if (rp->has_begun || begin(rp))
			read_on(rp);
		break;
	default:
		break;
	}
}

/*
 * If the log holds everything that the client missed, it is sent from there, and this replay is
 * over.
 */
static bool
is_in_replay_buffer(struct replay *rp)
{
	struct feed *fd = rp->feed;
	struct subscriber *sub = rp->sub;
	uint64_t max = fd->class->settings->max_events, at;
	struct stream_id said[STREAM_CURSOR_MAX];
	char text[CURSOR_TEXT];
	unsigned n_events, i;

	for (i = 0; i < rp->n; i++)
		said[i] = rp->parts[i].said;
	if (!replay_is_known(rp) || !replay_buffer_find(fd, said, &at, &n_events) ||
	    (max > 0 && n_events >= max))
		return false;
	cursor_print(text, replay_whose(rp), said, rp->n);
	let_go(rp);
	feed_count(fd, COUNTER_REPLAYED, n_events);
	subscriber_open_at(sub, at, n_events, text);
	return true;
}

static void
on_begin(struct backlog *backlog)
{
	struct replay *rp = replay_of(backlog);

	assert(rp->state == REPLAY_PLANNED);
	if (is_in_replay_buffer(rp))
		return;
	subscriber_begin_replay(rp->sub);
	if (replay_is_known(rp) && can_end(rp->feed))
		recall(rp);
	else
		look(rp);
}

static void
on_taken(struct backlog *backlog)
{
	struct replay *rp = replay_of(backlog);

	if (rp->has_begun && rp->n_pending == 0 && !uv_is_active((uv_handle_t *)&rp->again))
		read_on(rp);
}

void
replay_go_on(struct feed *fd)
{
	struct list *node, *tmp;

	if (live_of(fd) == NULL)
		return;
	LIST_FOREACH (node, tmp, &live_of(fd)->replays) {
		struct replay *rp = LIST_ENTRY(node, struct replay, of_feed);

		if (rp->state == REPLAY_LAGGING && !replay_is_ahead(rp))
			look(rp);
	}
}
