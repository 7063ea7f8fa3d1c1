/*
 * replay - what came in a feed's streams before a subscriber, exactly once: from where the client
 * stood (its Last-Event-ID) up to its place in the feed's log. It is read page by page as the
 * client takes it, so a long past costs no more memory than a short one.
 *
 * It goes in rounds. A round begins by taking a place in the log, and with it the feed's cursor is
 * known: up to there the streams are read. If a page of each is all, the client goes on in the log
 * from its place. If there is more, the place is given up, so that the log need not be held for a
 * slow client; and once all of the round was read and taken, the next one begins.
 *
 * Each page but the first begins with the entry at which the one before ended. If it is not there,
 * the stream was trimmed meanwhile, and the client is told.
 */
#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "hub/announce.h"
#include "hub/feed_logic.h"
#include "hub/refusal.h"
#include "logic/entry.h"
#include "redis/past.h"
#include "redis/stream_entry.h"
#include "source/live.h"

#define UNKNOWN_ID "{\"reason\":\"unknown-id\"}"
#define OTHER      "{\"reason\":\"other\"}"

enum {
	ROOM = 128 * 1024, /* bytes for one client, then it must take them */
	AGAIN_MS = 300,    /* Redis did not answer */
};

enum replay_state {
	REPLAY_PLANNED,  /* the feed is not confirmed yet */
	REPLAY_ASKING,   /* the snapshot, which names where the stream begins */
	REPLAY_LOOKING,  /* what became of the streams since the client's id? */
	REPLAY_LAGGING,  /* the client is ahead of the feed, which will get there */
	REPLAY_COUNTING, /* where do the newest entries begin that it may have? */
	REPLAY_READING,  /* page by page */
};

struct replayed {
	struct stream_id id;
	char *data, *event; /* owned; event may be NULL */
	size_t data_len;
};

/* One stream of a replay. */
struct part {
	struct past_reading reading;
	struct replay *rp;
	struct stream_id said; /* by the client */
	struct stream_id from; /* where the client stands */
	struct stream_id to;   /* where this round ends */
	bool has_reached;      /* all up to there was read */
	bool is_entry;         /* from is an entry that Redis gave us */
	uint64_t length;       /* of the stream */
	size_t entry_size;     /* bytes, as far as is known */
	unsigned n_counted;
	struct stream_id counted; /* the oldest of them */
	struct replayed *v;       /* read, and not sent yet: from at on */
	size_t n_v, at;
};

struct replay {
	struct backlog backlog; /* its subscriber's */
	struct list of_feed;
	struct list of_snapshot; /* live->snapshot_asked or _wanted; or none */
	struct feed *feed;
	struct subscriber *sub;
	enum replay_state state;
	bool is_resumed;     /* the client says where it stood */
	bool is_from;        /* the snapshot says it in its place */
	bool is_past_wanted; /* by one that does not say it: "start" */
	const char *unknown; /* why what the client says is no place of ours; NULL: it is one */
	bool is_trimmed;     /* and it is to be told so */
	bool has_begun;      /* the client was told where it stands */
	bool has_place;
	bool has_failed, is_refused; /* some answer of this time */
	bool has_snapshot, is_snapshot_refused, is_snapshot_missing;
	bool ends;              /* with the snapshot, for good */
	uint64_t place;         /* in the feed's log */
	uint32_t n_feed_events; /* of the feed, when the place was taken, or given up */
	uint64_t n_events;      /* sent */
	unsigned n_pending;     /* answers */
	int callback;           /* of the route's script: one that sees the past alone */
	struct batch batch;
	char *snapshot; /* owned; NULL: there is no such key */
	size_t snapshot_len;
	uv_timer_t again;
	unsigned n;
	struct part parts[];
};

static void go_on(struct replay *rp);
static void read_on(struct replay *rp);
static bool ask_pages(struct replay *rp);

/* Its life */

static void
free_entries(struct part *part)
{
	for (; part->at < part->n_v; part->at++) {
		free(part->v[part->at].data);
		free(part->v[part->at].event);
	}
	free(part->v);
	part->v = NULL;
	part->n_v = part->at = 0;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

static void
leave_place(struct replay *rp)
{
	if (!rp->has_place)
		return;
	log_leave(&rp->feed->out.log, rp->place);
	rp->has_place = false;
	rp->n_feed_events = rp->feed->out.n_events;
}

/* Its subscriber needs it no more. */
static void
let_go(struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		past_cancel(&rp->parts[i].reading);
		free_entries(&rp->parts[i]);
	}
	leave_place(rp);
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

static void on_begin(struct backlog *backlog);
static void on_taken(struct backlog *backlog);

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

/* NULL: the id is one of ours; else the reason of the reset. */
static const char *
parse_client(struct replay *rp, const char *text)
{
	static const char *const reasons[] = {
	    [CURSOR_OURS] = NULL, [CURSOR_OTHER] = OTHER, [CURSOR_UNKNOWN] = UNKNOWN_ID};
	struct stream_id said[STREAM_CURSOR_MAX] = {0};
	enum cursor_said is = cursor_parse(said, feed_cursor(rp->feed), text);

	for (unsigned i = 0; i < rp->n; i++)
		rp->parts[i].said = said[i];
	return reasons[is];
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
	rp->is_resumed = has_streams && from != NULL;
	rp->is_past_wanted =
	    has_streams && from == NULL && (fs->start.is_beginning || fs->start.last > 0);
	rp->unknown = rp->is_resumed ? parse_client(rp, from) : NULL;
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

static const struct source *
source_of(const struct part *part)
{
	return feed_source_at(part->rp->feed, (unsigned)(part - part->rp->parts));
}

/* Has it sources whose messages stand nowhere but in the log? */
static bool
has_channels(const struct feed *fd)
{
	const struct source *so;

	for (so = fd->sources; so != NULL; so = so->next) {
		if (!so->kind->is_resumable)
			return true;
	}
	return false;
}

/* What the subscriber is sent */

static void
make_cursor(struct stream_id cursor[STREAM_CURSOR_MAX], const struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++)
		cursor[i] = rp->parts[i].from;
}

static const char *
whose(const struct replay *rp)
{
	return feed_cursor(rp->feed)->whose;
}

static size_t
print_cursor(char text[CURSOR_TEXT], const struct replay *rp)
{
	struct stream_id cursor[STREAM_CURSOR_MAX];

	make_cursor(cursor, rp);
	return cursor_print(text, whose(rp), cursor, rp->n);
}

static int
put_own(struct replay *rp, const struct event *ev)
{
	struct buf *own = &rp->sub->own;
	size_t n_replaced = 0, cap = own->len + WIRE_GROWTH_MAX * ev->data_len + WIRE_REST_MAX;
	int rc;

	if (own->cap < cap)
		own->cap = cap;
	if ((rc = rp->feed->out.log.wire->event(own, ev, &n_replaced)) == 0)
		feed_count(rp->feed, COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	return rc;
}

static int
put_reset(struct replay *rp, const char *data)
{
	struct event ev = {.type = "stream-reset",
			   .type_len = strlen("stream-reset"),
			   .data = data,
			   .data_len = strlen(data)};

	feed_count(rp->feed, COUNTER_RESETS, 1);
	if (!rp->feed->class->settings->announce)
		return 0;
	return put_own(rp, &ev);
}

static int
tell_trimmed(struct replay *rp)
{
	if (!rp->is_trimmed)
		return 0;
	rp->is_trimmed = false;
	return put_reset(rp, "{\"reason\":\"trimmed\"}");
}

static bool
is_known(const struct replay *rp)
{
	return rp->is_resumed && rp->unknown == NULL;
}

/*
 * Where the client stands, as it is told: where it says; or before the first entry that it will be
 * sent; or, if there is none, where the round ends.
 */
static void
print_beginning(char text[CURSOR_TEXT], const struct replay *rp)
{
	struct stream_id cursor[STREAM_CURSOR_MAX];
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		const struct part *part = &rp->parts[i];

		if (is_known(rp))
			cursor[i] = part->said;
		else if (part->at < part->n_v)
			cursor[i] = stream_id_before(part->v[part->at].id);
		else
			cursor[i] = part->to;
	}
	cursor_print(text, whose(rp), cursor, rp->n);
}

static bool
ends_with_snapshot(const struct replay *rp)
{
	struct message msg;
	const struct template_scope scope = {
	    .params = rp->feed->params, .msg = &msg, .now = clock_unix()};
	bool ends;

	message_init(&msg, "", 0, rp->snapshot, rp->snapshot_len);
	ends = stages_ends_with(&rp->feed->class->settings->stages, &scope);
	message_fini(&msg);
	return ends;
}

/* Returns 0, -EMSGSIZE, -ENOMEM. */
static int
put_snapshot(struct replay *rp)
{
	struct event ev = {.type = "snapshot",
			   .type_len = strlen("snapshot"),
			   .data = rp->snapshot,
			   .data_len = rp->snapshot_len};
	int rc;

	if (rp->is_snapshot_refused)
		return put_reset(rp, "{\"reason\":\"snapshot\"}");
	if (rp->snapshot == NULL)
		return 0;
	if ((rc = put_own(rp, &ev)) == 0)
		rp->ends = ends_with_snapshot(rp);
	return rc;
}

static int
put_beginning(struct replay *rp)
{
	char text[CURSOR_TEXT];
	int rc;

	print_beginning(text, rp);
	if ((rc = subscriber_put_open(rp->sub, is_known(rp) && !rp->is_from,
				      rp->n > 0 ? text : NULL)) < 0 ||
	    (rp->unknown != NULL && (rc = put_reset(rp, rp->unknown)) < 0) ||
	    (rc = tell_trimmed(rp)) < 0)
		return rc;
	return put_snapshot(rp);
}

/* Entries as the route shows them, for one subscriber. */
struct sending {
	struct sink sink;
	struct replay *rp;
	int rc;
};

static bool
has_had_all(const struct replay *rp)
{
	uint64_t max = rp->feed->class->settings->max_events;

	return max > 0 && rp->n_events >= max;
}

static void
put_event(struct sending *s, const struct event *ev)
{
	if (s->rc < 0 || has_had_all(s->rp) || (s->rc = put_own(s->rp, ev)) < 0)
		return;
	s->rp->n_events++;
	feed_count(s->rp->feed, COUNTER_REPLAYED, 1);
}

static void
put_batch(struct sending *s, const struct event *newest)
{
	struct batch *batch = &s->rp->batch;
	struct event ev = *newest;

	if (s->rc < 0 || batch->n == 0 || (s->rc = batch_finish(batch)) < 0)
		return;
	ev.data = batch->text.p;
	ev.data_len = batch->text.len;
	put_event(s, &ev);
	batch_clear(batch);
}

static void
put_past(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct sending *s = LIST_ENTRY(to, struct sending, sink);
	const struct pace_limit *limit = &s->rp->feed->class->settings->pace.batch;
	struct batch *batch = &s->rp->batch;

	(void)of;
	if (limit->n == 0) {
		put_event(s, ev);
		return;
	}
	if (s->rc == 0)
		s->rc = batch_add(batch, ev->channel, ev->channel_len, ev->data, ev->data_len);
	if (batch->n >= limit->n || is_last || batch->text.len >= PACE_BATCH_MAX)
		put_batch(s, ev);
}

/* What is left of a batch, once there is no more of the past. */
static int
put_rest(struct replay *rp)
{
	struct sending s = {.rp = rp};
	struct event rest = {.type = NULL};
	char text[CURSOR_TEXT];

	rest.id = text;
	rest.id_len = print_cursor(text, rp);
	put_batch(&s, &rest);
	return s.rc;
}

/* Returns whether the end has come, for good. */
static bool
send_entry(struct sending *s, struct part *part, const struct replayed *one)
{
	struct replay *rp = s->rp;
	const char *stream = source_name(source_of(part));
	struct stream_id cursor[STREAM_CURSOR_MAX];
	const struct place at = {cursor, rp->n, whose(rp), rp->callback};
	char id[STREAM_ID_TEXT];
	struct message arrived;
	struct outcome out;

	part->from = one->id;
	part->is_entry = true;
	make_cursor(cursor, rp);
	stream_id_print(id, &one->id);
	message_init(&arrived, stream, strlen(stream), one->data, one->data_len);
	arrived.id = id;
	arrived.id_len = strlen(id);
	if (one->event != NULL)
		message_set_event(&arrived, one->event);
	out = render(rp->feed, &at, &arrived, &s->sink);
	message_fini(&arrived);
	if (out.is_poison && s->rc == 0)
		s->rc = put_reset(rp, RENDER_POISON);
	return out.ends;
}

/*
 * Whose entry is next: they come out in the order of their ids, those of equal id in that of the
 * streams. NULL: some stream must be read first, or there is no more.
 */
static struct part *
next_part(struct replay *rp)
{
	struct part *next = NULL;
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct part *part = &rp->parts[i];

		if (part->at == part->n_v && !part->has_reached)
			return NULL;
		if (part->at < part->n_v &&
		    (next == NULL ||
		     stream_id_compare(&part->v[part->at].id, &next->v[next->at].id) < 0))
			next = part;
	}
	return next;
}

static void
end(struct replay *rp, enum end_reason reason)
{
	struct subscriber *sub = rp->sub;

	let_go(rp);
	subscriber_end(sub, reason);
}

/* As many entries as there is room for. Returns false if the stream has ended by it. */
static bool
send_entries(struct replay *rp)
{
	struct sending s = {.sink = {put_past}, .rp = rp, .rc = tell_trimmed(rp)};
	struct part *part;
	bool ends = false;

	while (s.rc == 0 && !ends && rp->sub->own.len < ROOM && !has_had_all(rp) &&
	       (part = next_part(rp)) != NULL) {
		struct replayed *one = &part->v[part->at++];

		ends = send_entry(&s, part, one);
		free(one->data);
		free(one->event);
	}
	if (s.rc == 0 && ends)
		s.rc = put_rest(rp);
	if (s.rc < 0)
		end(rp, END_SLOW);
	else if (ends)
		end(rp, END_UNTIL);
	else if (has_had_all(rp))
		end(rp, END_MAX_EVENTS);
	else
		return true;
	return false;
}

/* The first frames. Returns false if the stream has ended by them. */
static bool
begin(struct replay *rp)
{
	rp->has_begun = true;
	rp->callback = replay_open_script(rp->feed);
	if (put_beginning(rp) < 0) {
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

/* Rounds */

/* The place in the log, and with it the feed's cursor, up to which the streams are read. */
static void
take_place(struct replay *rp)
{
	struct stream_id from[STREAM_CURSOR_MAX];
	const struct stream_id *to;
	unsigned i;

	if (rp->has_place)
		return;
	for (i = 0; i < rp->n; i++)
		from[i] = rp->has_begun ? rp->parts[i].from : rp->parts[i].said;
	/* Before the place is taken: what was held may go to the log by it. */
	to = feed_place(rp->feed, rp->has_begun || is_known(rp) ? from : NULL);
	for (i = 0; i < rp->n; i++)
		rp->parts[i].to = to[i];
	rp->has_place = true;
	rp->place = log_enter(&rp->feed->out.log);
	rp->n_feed_events = rp->feed->out.n_events;
}

static void
set_round(struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct part *part = &rp->parts[i];

		part->has_reached = stream_id_compare(&part->from, &part->to) >= 0;
	}
}

/* The first: from where the client stands, or the route's section says. */
static void
set_first_round(struct replay *rp)
{
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct part *part = &rp->parts[i];

		free_entries(part);
		part->from = is_known(rp) || rp->is_past_wanted ? part->said : part->to;
		part->is_entry = false;
		part->n_counted = 0;
	}
	set_round(rp);
}

/* A stream whose end is before our place in it was begun anew. 0, or < 0. */
static int
tell_begun_anew(struct replay *rp)
{
	bool is_some = false;
	unsigned i;

	for (i = 0; i < rp->n; i++) {
		struct part *part = &rp->parts[i];

		if (stream_id_compare(&part->from, &part->to) <= 0)
			continue;
		part->from = (struct stream_id){0, 0};
		part->is_entry = false;
		is_some = true;
	}
	return is_some ? put_reset(rp, UNKNOWN_ID) : 0;
}

/* What stands nowhere but in the log has passed while there was no place in it. */
static int
tell_missed(struct replay *rp, uint32_t n_feed_events)
{
	if (!has_channels(rp->feed) || rp->feed->out.n_events == n_feed_events)
		return 0;
	return put_reset(rp, "{\"reason\":\"slow\"}");
}

static void
next_round(struct replay *rp)
{
	uint32_t n_feed_events = rp->n_feed_events;

	take_place(rp);
	if (tell_begun_anew(rp) < 0 || tell_missed(rp, n_feed_events) < 0) {
		end(rp, END_SLOW);
		return;
	}
	set_round(rp);
	if (!ask_pages(rp))
		read_on(rp);
}

/* Answers */

static void look(struct replay *rp);

static void
on_again(uv_timer_t *timer)
{
	struct replay *rp = timer->data;

	if (rp->has_begun)
		next_round(rp);
	else
		look(rp);
}

/* What is published meanwhile is not kept for it: there is no end to how long this takes. */
static void
try_again(struct replay *rp)
{
	leave_place(rp);
	uv_timer_start(&rp->again, on_again,
		       rp->is_refused ? class_retry_ms(rp->feed->class) : AGAIN_MS, 0);
}

static void
answered(struct replay *rp)
{
	if (--rp->n_pending > 0)
		return;
	if (rp->has_failed)
		try_again(rp);
	else
		go_on(rp);
}

/*
 * Each function that asks says expect() first and waits() last. One pending answer of our own keeps
 * what fails at once from ending it in the middle.
 */
static void
expect(struct replay *rp)
{
	rp->has_failed = rp->is_refused = false;
	rp->n_pending++;
}

/* Is anything to be waited for? */
static bool
waits(struct replay *rp)
{
	if (--rp->n_pending > 0)
		return true;
	if (rp->has_failed)
		try_again(rp);
	return rp->has_failed;
}

/* An answer that is of no use: none, or that Redis cannot or will not. */
static void
fail(struct part *part, const redisReply *reply)
{
	struct replay *rp = part->rp;

	rp->has_failed = true;
	if (part->entry_size < SIZE_MAX / 8)
		part->entry_size *= 4; /* it may have been too much, for which a link is lost */
	if (reply == NULL || reply->type != REDIS_REPLY_ERROR || stream_reply_is_passing(reply))
		return;
	rp->is_refused = true;
	class_tell_refusal(rp->feed->class, source_name(source_of(part)), reply->str);
}

static void
ask(struct part *part, const struct past_range *range,
    void (*fn)(struct past_reading *reading, const struct past_answer *answer))
{
	struct replay *rp = part->rp;
	struct past *past = rp->feed->class->hub->past;
	char key[STREAM_KEY_MAX];
	int rc;

	source_print_key(key, source_of(part));
	part->reading.on_answer = fn;
	rc = range != NULL ? past_read(past, &part->reading, key, range)
			   : past_look(past, &part->reading, key);
	if (rc < 0)
		rp->has_failed = true;
	else
		rp->n_pending++;
}

/* What became of the streams? */

static void
on_info(struct past_reading *reading, const struct past_answer *answer)
{
	struct part *part = LIST_ENTRY(reading, struct part, reading);
	struct replay *rp = part->rp;
	struct stream_info info;

	if (answer->reply == NULL || stream_info_read(&info, answer->reply) < 0) {
		fail(part, answer->reply);
	} else {
		part->length = info.length;
		part->entry_size = info.entry_size;
		if (rp->is_resumed && stream_id_compare(&part->said, &info.newest) > 0)
			rp->unknown = UNKNOWN_ID;
		else if (rp->is_resumed && stream_info_lacks(&info, &part->said))
			rp->is_trimmed = true;
	}
	answered(rp);
}

static void want_snapshot(struct replay *rp);

/* Of one that does not say where it stands the snapshot may. */
static bool
is_to_be_asked(const struct replay *rp)
{
	return rp->feed->class->settings->snapshot_from != NULL && rp->n > 0 && !rp->has_snapshot &&
	       !is_known(rp);
}

static void
ask_where(struct replay *rp)
{
	rp->state = REPLAY_ASKING;
	expect(rp);
	take_place(rp);
	want_snapshot(rp);
	answered(rp);
}

static void
look(struct replay *rp)
{
	unsigned i;

	if (is_to_be_asked(rp)) {
		ask_where(rp);
		return;
	}
	rp->state = REPLAY_LOOKING;
	rp->is_trimmed = false;
	expect(rp);
	take_place(rp);
	for (i = 0; i < rp->n && (is_known(rp) || rp->is_past_wanted); i++)
		ask(&rp->parts[i], NULL, on_info);
	answered(rp);
}

/* Is the client ahead of the feed? */
static bool
is_ahead(const struct replay *rp)
{
	const struct stream_id *at = feed_cursor(rp->feed)->at;
	unsigned i;

	for (i = 0; is_known(rp) && i < rp->n; i++) {
		if (stream_id_compare(&rp->parts[i].said, &at[i]) > 0)
			return true;
	}
	return false;
}

/* Entries of a page */

/* Of one entry, which is not ours to keep. Returns 0, -ENOMEM. */
static int
keep_entry(struct part *part, const redisReply *reply)
{
	struct replayed *one = &part->v[part->n_v];
	struct stream_entry entry;
	struct entry en;
	int rc;

	if (!stream_entry_parse(&entry, reply) || stream_id_compare(&entry.id, &part->from) <= 0)
		return 0;
	if ((rc = entry_read(&en, "", &entry.id, entry.fields)) < 0)
		return rc == -ENOMEM ? rc : 0;
	*one = (struct replayed){.id = entry.id, .data_len = en.msg.data_len};
	one->data = malloc(one->data_len + 1);
	if (en.msg.event != NULL)
		one->event = strdup(en.msg.event);
	if (one->data != NULL)
		memcpy(one->data, en.msg.data, one->data_len + 1);
	entry_fini(&en);
	if (one->data == NULL) {
		free(one->event);
		return -ENOMEM;
	}
	part->n_v++;
	return 0;
}

/* Those that the client has not had, oldest first. */
static void
keep_page(struct part *part, const redisReply *reply, enum past_order order)
{
	size_t i, n = reply->elements;
	int rc = 0;

	free_entries(part);
	if (n == 0)
		return;
	part->entry_size = stream_entry_bytes(reply) / n + 1;
	if ((part->v = calloc(n, sizeof(*part->v))) == NULL)
		rc = -ENOMEM;
	for (i = 0; i < n && rc == 0; i++)
		rc = keep_entry(part, reply->element[order == PAST_OLDEST_FIRST ? i : n - 1 - i]);
	if (rc < 0)
		part->rp->has_failed = true;
}

static bool
begins_with(const redisReply *reply, const struct stream_id *id)
{
	struct stream_entry first;

	return reply->elements > 0 && stream_entry_parse(&first, reply->element[0]) &&
	       stream_id_compare(&first.id, id) == 0;
}

static void
on_page(struct past_reading *reading, const struct past_answer *answer)
{
	struct part *part = LIST_ENTRY(reading, struct part, reading);
	const redisReply *reply = answer->reply;

	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		fail(part, reply);
	} else {
		if (part->is_entry && !begins_with(reply, &part->from))
			part->rp->is_trimmed = true;
		keep_page(part, reply, PAST_OLDEST_FIRST);
		part->has_reached = answer->is_whole || part->n_v == 0;
	}
	answered(part->rp);
}

/* Returns whether anything is to be waited for. */
static bool
ask_pages(struct replay *rp)
{
	unsigned i;

	expect(rp);
	for (i = 0; i < rp->n; i++) {
		struct part *part = &rp->parts[i];
		struct past_range range = {.from = part->from, .to = part->to};

		if (part->has_reached || part->at < part->n_v)
			continue;
		if (!part->is_entry)
			range.from = stream_id_after(part->from);
		range.count = past_count(part->entry_size);
		ask(part, &range, on_page);
	}
	return waits(rp);
}

/* Of a longer gap, or without an id, it may have the newest entries only: how many? */

static bool
is_last(const struct replay *rp)
{
	const struct feed_settings *fs = rp->feed->class->settings;

	return rp->is_past_wanted && fs->start.last > 0 && fs->start.last <= fs->history;
}

static unsigned
limit_of(const struct replay *rp)
{
	const struct feed_settings *fs = rp->feed->class->settings;

	return is_last(rp) ? fs->start.last : fs->history;
}

/* There is one more than it may have: that is where it stands. */
static void
begin_behind(struct part *part, const struct stream_id *id)
{
	part->from = *id;
	part->is_entry = true;
	if (!is_last(part->rp))
		part->rp->is_trimmed = true;
}

/* The newest are first. */
static void
count_page(struct part *part, const struct past_answer *answer)
{
	const redisReply *reply = answer->reply;
	unsigned limit = limit_of(part->rp);
	struct stream_entry entry;
	size_t i;

	if (part->n_counted == 0 && answer->is_whole && reply->elements <= limit) {
		keep_page(part, reply, PAST_NEWEST_FIRST); /* so it is not read once more */
		part->has_reached = true;
		return;
	}
	for (i = 0; i < reply->elements; i++) {
		if (!stream_entry_parse(&entry, reply->element[i]))
			continue;
		part->counted = entry.id;
		if (part->n_counted++ == limit) {
			begin_behind(part, &entry.id);
			return;
		}
	}
	if (answer->is_whole)
		part->n_counted = limit + 1; /* it may have all */
}

static void
on_count(struct past_reading *reading, const struct past_answer *answer)
{
	struct part *part = LIST_ENTRY(reading, struct part, reading);

	if (answer->reply == NULL || answer->reply->type != REDIS_REPLY_ARRAY)
		fail(part, answer->reply);
	else
		count_page(part, answer);
	answered(part->rp);
}

static void
ask_count(struct part *part)
{
	struct past_range range = {.order = PAST_NEWEST_FIRST, .to = part->to};
	unsigned rest = limit_of(part->rp) + 1 - part->n_counted;

	range.from = stream_id_after(part->from);
	if (part->n_counted > 0)
		range.to = stream_id_before(part->counted);
	range.count = past_count(part->entry_size);
	if (range.count > rest)
		range.count = rest;
	ask(part, &range, on_count);
}

static bool
is_counted(const struct part *part)
{
	unsigned limit = limit_of(part->rp);

	return part->has_reached || part->length <= limit || part->n_counted > limit;
}

/* Returns whether anything is to be waited for. */
static bool
count(struct replay *rp)
{
	unsigned i;

	expect(rp);
	want_snapshot(rp);
	for (i = 0; i < rp->n; i++) {
		if (!is_counted(&rp->parts[i]))
			ask_count(&rp->parts[i]);
	}
	return waits(rp);
}

/* Snapshots */

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
	buf_init(&text, SIZE_MAX / 2);
	if ((rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0) {
		rp->snapshot = text.p;
		rp->snapshot_len = text.len - 1;
		return 0;
	}
	buf_fini(&text);
	return rc;
}

static int
keep_snapshot(struct replay *rp, struct message *reply)
{
	const char *bytes;
	size_t len;

	if ((bytes = message_bytes(reply, &len)) == NULL) {
		rp->is_snapshot_missing = true;
		return keep_missing(rp);
	}
	if ((rp->snapshot = malloc(len + 1)) == NULL)
		return -ENOMEM;
	memcpy(rp->snapshot, bytes, len);
	rp->snapshot[len] = '\0';
	rp->snapshot_len = len;
	return 0;
}

static void ask_snapshot(struct feed *fd);

/* The stream goes on without a snapshot that Redis refuses; one that it does not answer is asked
 * again. */
static void
on_snapshot(struct feed *fd, struct message *reply)
{
	bool is_refused = reply == NULL && feed_reply_is_refused(fd);

	while (!list_is_empty(&live_of(fd)->snapshot_asked)) {
		struct replay *rp =
		    LIST_ENTRY(live_of(fd)->snapshot_asked.next, struct replay, of_snapshot);

		list_del(&rp->of_snapshot);
		rp->is_snapshot_refused = is_refused;
		rp->has_snapshot = reply != NULL ? keep_snapshot(rp, reply) == 0 : is_refused;
		if (!rp->has_snapshot)
			rp->has_failed = true;
		answered(rp);
	}
	ask_snapshot(fd);
}

/*
 * One read serves all who had taken their place before it was asked. Who comes while it is on its
 * way needs another: what is published in between may be in neither.
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

static void
want_snapshot(struct replay *rp)
{
	if (rp->has_snapshot || rp->feed->class->settings->snapshot == NULL || is_known(rp))
		return;
	rp->n_pending++;
	list_move_tail(&live_of(rp->feed)->snapshot_wanted, &rp->of_snapshot);
	ask_snapshot(rp->feed);
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

/* All came: from its place on it reads the log. */
static void
finish(struct replay *rp)
{
	struct subscriber *sub = rp->sub;
	uint64_t place = rp->place;
	uint32_t n_feed_events = rp->n_feed_events, n_events = (uint32_t)rp->n_events;

	if (put_rest(rp) < 0) {
		end(rp, END_SLOW);
		return;
	}
	rp->has_place = false; /* it is the subscriber's now */
	let_go(rp);
	subscriber_go_on(sub, place, n_feed_events, n_events);
}

/* Whatever was asked for is here, and what the subscriber had was taken: what comes next? */
static void
read_on(struct replay *rp)
{
	if (!send_entries(rp))
		return;
	if (is_all_sent(rp) && rp->has_place) {
		finish(rp);
		return;
	}
	leave_place(rp);
	if (rp->sub->own.len > 0)
		subscriber_has_more(rp->sub);
	else if (is_all_sent(rp))
		next_round(rp);
	else
		(void)ask_pages(rp);
}

/* 0, and whether it names a place of ours; -ENOENT: it names none. */
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
		*is_ours = parse_client(rp, text.p) == NULL;
	message_fini(&msg);
	buf_fini(&text);
	return rc;
}

/* As if the client had come with it. Of a key that is not there nothing need be said. */
static void
begin_where_it_says(struct replay *rp)
{
	bool is_ours = false;
	int rc;

	if (rp->snapshot == NULL ||
	    ((rc = read_where(rp, &is_ours)) == -ENOENT && rp->is_snapshot_missing))
		return;
	rp->is_past_wanted = false;
	rp->is_resumed = rp->is_from = true;
	rp->unknown = rc == 0 && is_ours ? NULL : UNKNOWN_ID;
}

/* The snapshot is newer than the place that was taken before it: what is between it has had. */
static void
take_later_place(struct replay *rp)
{
	bool is_later = false;

	for (unsigned i = 0; rp->is_from && is_known(rp) && i < rp->n; i++)
		is_later = is_later || stream_id_compare(&rp->parts[i].said, &rp->parts[i].to) > 0;
	if (!is_later)
		return;
	leave_place(rp);
	take_place(rp);
}

static void
go_on(struct replay *rp)
{
	switch (rp->state) {
	case REPLAY_ASKING:
		begin_where_it_says(rp);
		look(rp);
		break;
	case REPLAY_LOOKING:
		if (is_ahead(rp)) {
			rp->state = REPLAY_LAGGING;
			leave_place(rp);
			return;
		}
		take_later_place(rp);
		rp->state = REPLAY_COUNTING;
		set_first_round(rp);
		/* fall through */
	case REPLAY_COUNTING:
		if (count(rp))
			return;
		rp->state = REPLAY_READING;
		if (ask_pages(rp))
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

/* Is all that it missed in the log? Then it is sent that, and this replay is over. */
static bool
is_recent(struct replay *rp)
{
	struct feed *fd = rp->feed;
	struct subscriber *sub = rp->sub;
	uint64_t max = fd->class->settings->max_events, at;
	struct stream_id said[STREAM_CURSOR_MAX];
	char text[CURSOR_TEXT];
	unsigned n_events, i;

	for (i = 0; i < rp->n; i++)
		said[i] = rp->parts[i].said;
	if (!is_known(rp) || !recent_find(fd, said, &at, &n_events) || (max > 0 && n_events >= max))
		return false;
	cursor_print(text, whose(rp), said, rp->n);
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
	if (is_recent(rp))
		return;
	subscriber_begin_replay(rp->sub);
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

		if (rp->state == REPLAY_LAGGING && !is_ahead(rp))
			look(rp);
	}
}
