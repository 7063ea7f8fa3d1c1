/*
 * replay - what came in a feed's streams before a subscriber, exactly once: from where the client
 * stood (its Last-Event-ID) up to the subscriber's place in the feed's log.
 *
 * The place is taken first, and with it the feed's cursor is known; then Redis is asked for what
 * lies between. What comes meanwhile stands in the log behind the place.
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
#include "hub/private.h"
#include "hub/render.h"
#include "logic/entry.h"
#include "redis/recorded.h"

enum { OWN_MAX = 16 * 1024 * 1024, AGAIN_MS = 300 };

enum replay_state {
	REPLAY_PLANNED, /* the feed is not confirmed yet */
	REPLAY_LAGGING, /* the client is ahead of the feed's cursor, or says so */
	REPLAY_ASKED,
};

struct replayed {
	struct stream_id id;
	unsigned stream;
	char *data, *event; /* owned; event may be NULL */
	size_t data_len;
};

struct replay {
	struct list of_feed;
	struct list of_snapshot; /* more->snapshot_asked or _wanted; or none */
	struct feed *feed;
	struct subscriber *sub; /* NULL: it has gone; freed when all has been answered */
	enum replay_state state;
	unsigned n;
	bool is_resumed;     /* from is the client's */
	bool is_past_wanted; /* by one without an id: "start" */
	bool is_unknown;     /* what the client says is none of ours */
	bool is_trimmed;
	struct stream_id from[STREAM_CURSOR_MAX], to[STREAM_CURSOR_MAX];
	struct replayed *v;
	size_t n_v;
	unsigned n_pending;
	bool has_failed;
	char *snapshot; /* owned; NULL: none */
	size_t snapshot_len;
	uv_timer_t again;
};

/* One command of a replay, and for which stream. */
struct question {
	struct replay *rp;
	unsigned stream;
};

static void ask(struct replay *rp);

static void
on_timer_closed(uv_handle_t *timer)
{
	struct replay *rp = timer->data;

	free(rp->v);
	free(rp->snapshot);
	free(rp);
}

static void
free_entries(struct replay *rp)
{
	size_t i;

	for (i = 0; i < rp->n_v; i++) {
		free(rp->v[i].data);
		free(rp->v[i].event);
	}
	rp->n_v = 0;
}

static void
free_if_done(struct replay *rp)
{
	if (rp->sub != NULL || rp->n_pending > 0)
		return;
	free_entries(rp);
	uv_close((uv_handle_t *)&rp->again, on_timer_closed);
}

static void
let_go(struct replay *rp)
{
	list_del(&rp->of_feed);
	rp->sub = NULL;
	if (!list_is_empty(&rp->of_snapshot)) {
		list_del(&rp->of_snapshot);
		rp->n_pending--; /* the answer is not for it any more */
	}
	uv_timer_stop(&rp->again);
	free_if_done(rp);
}

static struct replay *
find(const struct feed *fd, const struct subscriber *sub)
{
	struct list *node;

	if (fd->more == NULL)
		return NULL;
	for (node = fd->more->replays.next; node != &fd->more->replays; node = node->next) {
		struct replay *rp = LIST_ENTRY(node, struct replay, of_feed);

		if (rp->sub == sub)
			return rp;
	}
	return NULL;
}

int
replay_plan(struct feed *fd, struct subscriber *sub, const char *from)
{
	const struct feed_settings *fs = fd->class->settings;
	struct replay *rp;

	bool has_streams = fd->more != NULL && fd->more->n_streams > 0;

	if (fs->snapshot == NULL &&
	    (!has_streams || (from == NULL && !fs->start.is_beginning && fs->start.last == 0)))
		return 0;
	if (more_new(fd) < 0)
		return -ENOMEM;
	if (!has_streams)
		from = NULL;
	if ((rp = calloc(1, sizeof(*rp))) == NULL)
		return -ENOMEM;
	rp->feed = fd;
	rp->sub = sub;
	rp->n = fd->more->n_streams;
	list_init(&rp->of_snapshot);
	rp->is_resumed = from != NULL;
	rp->is_past_wanted = has_streams && (fs->start.is_beginning || fs->start.last > 0);
	rp->is_unknown = from != NULL && !stream_cursor_parse(rp->from, rp->n, from);
	uv_timer_init(fd->class->hub->loop, &rp->again);
	rp->again.data = rp;
	list_add_tail(&fd->more->replays, &rp->of_feed);
	return 0;
}

void
replay_cancel(struct feed *fd, const struct subscriber *sub)
{
	struct replay *rp = find(fd, sub);

	if (rp != NULL)
		let_go(rp);
}

/* Is the client ahead of the feed? Redis knows whether there is such an entry. */
static bool
is_ahead(const struct replay *rp)
{
	const struct stream_id *at = rp->feed->more->cursor;
	unsigned i;

	for (i = 0; rp->is_resumed && !rp->is_unknown && i < rp->n; i++) {
		if (stream_id_compare(&rp->from[i], &at[i]) > 0)
			return true;
	}
	return false;
}

/* The entries come out in the order of their IDs, those of equal ID in that of the streams. */
static int
compare_entries(const void *a, const void *b)
{
	const struct replayed *x = a, *y = b;
	int order = stream_id_compare(&x->id, &y->id);

	return order != 0 ? order : (x->stream > y->stream) - (x->stream < y->stream);
}

/* The greatest ID below id. */
static struct stream_id
before(struct stream_id id)
{
	if (id.seq > 0)
		return (struct stream_id){id.ms, id.seq - 1};
	return id.ms > 0 ? (struct stream_id){id.ms - 1, UINT64_MAX} : id;
}

/* Where the client stands before the first entry that it is sent. */
static void
set_beginning(struct replay *rp)
{
	bool has_entry[STREAM_CURSOR_MAX] = {false};
	size_t i;

	for (i = 0; i < rp->n_v; i++) {
		unsigned s = rp->v[i].stream;

		if (!has_entry[s] && (!rp->is_resumed || rp->is_trimmed))
			rp->from[s] = before(rp->v[i].id);
		has_entry[s] = true;
	}
	for (i = 0; i < rp->n; i++) {
		if (!has_entry[i] && !rp->is_resumed)
			rp->from[i] = rp->to[i];
	}
}

/* Entries as the route shows them, for one subscriber. */
struct sending {
	struct sink sink;
	struct subscriber *sub;
	struct batch batch;
	unsigned n_events;
	int rc;
};

static void
put_event(struct sending *s, const struct event *ev)
{
	size_t n_replaced = 0;

	if (s->rc < 0 || (s->rc = event_append(&s->sub->own, ev, &n_replaced)) < 0)
		return;
	counters_add(COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	s->n_events++;
}

static void
put_batch(struct sending *s, const struct event *newest)
{
	struct event ev = *newest;

	if (s->rc < 0 || s->batch.n == 0 || (s->rc = batch_finish(&s->batch)) < 0)
		return;
	ev.data = s->batch.text.p;
	ev.data_len = s->batch.text.len;
	put_event(s, &ev);
	batch_clear(&s->batch);
}

static void
put_past(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct sending *s = LIST_ENTRY(to, struct sending, sink);
	const struct pace_limit *limit = &s->sub->feed->class->settings->pace.batch;

	if (limit->n == 0) {
		put_event(s, ev);
		return;
	}
	if (s->rc == 0)
		s->rc = batch_add(&s->batch, of->channel, of->channel_len, ev->data, ev->data_len);
	if (s->batch.n >= limit->n || is_last || s->batch.text.len >= PACE_BATCH_MAX)
		put_batch(s, ev);
}

/* The subject's name, with the prefix. */
static const char *
name_of_stream(const struct feed *fd, unsigned index)
{
	bool is_recorded = fd->class->settings->record > 0;
	const struct subscription *sn;

	for (sn = fd->subscriptions; sn != NULL; sn = sn->next) {
		if ((is_recorded || sn->subject->remote.kind == SUBJECT_STREAM) && index-- == 0)
			break;
	}
	assert(sn != NULL);
	return sn->subject->name;
}

const char *
replay_stream_name(const struct feed *fd, unsigned index)
{
	return name_of_stream(fd, index) + strlen(fd->class->hub->redis->prefix);
}

/* The key that Redis knows: of a recorded channel its log. */
void
replay_print_key(char key[STREAM_KEY_MAX], const struct feed *fd, unsigned index)
{
	snprintf(key, STREAM_KEY_MAX, "%s%s", name_of_stream(fd, index),
		 fd->class->settings->record > 0 ? RECORDED_SUFFIX : "");
}

/* Returns whether the end has come, for good. */
static bool
send_entry(struct sending *s, const struct place *at, const struct replayed *one)
{
	struct feed *fd = s->sub->feed;
	const char *stream = replay_stream_name(fd, one->stream);
	char id[STREAM_ID_TEXT];
	struct message arrived;
	struct outcome out;

	stream_id_print(id, &one->id);
	message_init(&arrived, stream, strlen(stream), one->data, one->data_len);
	arrived.id = id;
	arrived.id_len = strlen(id);
	if (one->event != NULL)
		message_set_event(&arrived, one->event);
	out = render(fd, at, &arrived, &s->sink);
	message_fini(&arrived);
	return out.ends;
}

/* One that is nobody else's: what it keeps, and its timer, concern the past alone. */
int
replay_open_script(struct feed *fd)
{
	const struct template_scope scope = {
	    .params = fd->params, .channel = "", .now = clock_unix()};
	uint64_t after_ms;

	return stages_open(&fd->class->settings->stages, &scope, &after_ms);
}

static bool
send_entries(struct replay *rp, struct sending *s)
{
	size_t i;
	struct stages *stages = &rp->feed->class->settings->stages;
	struct stream_id cursor[STREAM_CURSOR_MAX];
	struct place at = {.cursor = cursor, .n_cursor = rp->n};
	struct event rest = {.type = NULL};
	char text[STREAM_CURSOR_TEXT];
	bool ends = false;

	memcpy(cursor, rp->from, sizeof(cursor));
	at.callback = replay_open_script(rp->feed);
	for (i = 0; i < rp->n_v && !ends && s->rc == 0; i++) {
		const struct replayed *one = &rp->v[i];

		cursor[one->stream] = one->id;
		ends = send_entry(s, &at, one);
	}
	rest.id = text;
	rest.id_len = stream_cursor_print(text, cursor, rp->n);
	put_batch(s, &rest);
	stages_close(stages, at.callback);
	return ends;
}

static int
put_reset(struct replay *rp, const char *data)
{
	struct event ev = {.type = "stream-reset",
			   .type_len = strlen("stream-reset"),
			   .data = data,
			   .data_len = strlen(data)};

	counters_add(COUNTER_RESETS, 1);
	if (!rp->feed->class->settings->announce)
		return 0;
	return event_append(&rp->sub->own, &ev, NULL);
}

static int
put_beginning(struct replay *rp)
{
	char text[STREAM_CURSOR_TEXT];
	int rc;

	stream_cursor_print(text, rp->is_unknown ? rp->to : rp->from, rp->n);
	rc = subscriber_put_open(rp->sub, rp->is_resumed && !rp->is_unknown,
				 rp->n > 0 ? text : NULL);
	if (rc == 0 && rp->is_unknown)
		rc = put_reset(rp, "{\"reason\":\"unknown-id\"}");
	if (rc == 0 && rp->is_trimmed)
		rc = put_reset(rp, "{\"reason\":\"trimmed\"}");
	if (rc == 0 && rp->snapshot != NULL) {
		struct event ev = {.type = "snapshot",
				   .type_len = strlen("snapshot"),
				   .data = rp->snapshot,
				   .data_len = rp->snapshot_len};

		rc = event_append(&rp->sub->own, &ev, NULL);
	}
	return rc;
}

/* All is here. */
static void
finish(struct replay *rp)
{
	struct subscriber *sub = rp->sub;
	uint64_t max = rp->feed->class->settings->max_events;
	struct sending s = {.sink = {put_past}, .sub = sub};
	bool ends;

	if (rp->n_v > 0)
		qsort(rp->v, rp->n_v, sizeof(*rp->v), compare_entries);
	set_beginning(rp);
	sub->own.cap += OWN_MAX + rp->snapshot_len;
	batch_init(&s.batch, PACE_TEXT_MAX);
	s.rc = put_beginning(rp);
	ends = send_entries(rp, &s);
	batch_fini(&s.batch);
	let_go(rp);
	counters_add(COUNTER_REPLAYED, s.n_events);
	subscriber_go_on(sub, s.n_events);
	if (ends)
		subscriber_end_at(sub, sub->cursor, END_UNTIL);
	else if (max > 0 && s.n_events >= max)
		subscriber_end_at(sub, sub->cursor, END_MAX_EVENTS);
	else if (s.rc < 0)
		subscriber_end_at(sub, sub->cursor, END_SLOW);
}

/* Questions */

static void
on_again(uv_timer_t *timer)
{
	ask(timer->data);
}

static void
answered(struct replay *rp)
{
	if (--rp->n_pending > 0)
		return;
	if (rp->sub == NULL) {
		free_if_done(rp);
	} else if (rp->has_failed) {
		free_entries(rp);
		uv_timer_start(&rp->again, on_again, AGAIN_MS, 0);
	} else if (rp->state == REPLAY_LAGGING) {
		rp->is_trimmed = false; /* asked again once the feed is there */
		replay_go_on(rp->feed);
	} else {
		finish(rp);
	}
}

/* Was anything between the client's place and the stream's first entry, and is gone? */
static bool
is_trimmed(const struct stream_id *from, const struct stream_info *info)
{
	bool is_before_first = info->length == 0 ? stream_id_compare(from, &info->newest) < 0
						 : stream_id_compare(from, &info->first) < 0;

	if (info->n_added > 0 && info->n_added == info->length)
		return false; /* nothing ever was */
	return is_before_first;
}

static void
on_info(void *arg, const redisReply *reply)
{
	struct question q = *(struct question *)arg;
	struct stream_info info;

	free(arg);
	if (q.rp->sub == NULL) {
		/* nobody asks any more */
	} else if (reply == NULL || stream_info_read(&info, reply) < 0) {
		q.rp->has_failed = true;
	} else if (stream_id_compare(&q.rp->from[q.stream], &info.newest) > 0) {
		q.rp->is_unknown = true;
	} else if (is_trimmed(&q.rp->from[q.stream], &info)) {
		q.rp->is_trimmed = true;
	}
	answered(q.rp);
}

/* Of one entry of the reply, which is not ours to keep. Returns 0, -EINVAL, -ENOMEM. */
static int
keep_entry(struct replay *rp, unsigned stream, const redisReply *reply)
{
	struct replayed one = {.stream = stream}, *v;
	struct entry en;
	int rc;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    !stream_id_parse(&one.id, reply->element[0]->str, reply->element[0]->len))
		return -EINVAL;
	if ((v = reallocarray(rp->v, rp->n_v + 1, sizeof(*v))) == NULL)
		return -ENOMEM;
	rp->v = v;
	if ((rc = entry_read(&en, "", &one.id, reply->element[1])) < 0)
		return rc;
	one.data_len = en.msg.data_len;
	one.data = malloc(one.data_len + 1);
	if (en.msg.event != NULL)
		one.event = strdup(en.msg.event);
	if (one.data != NULL)
		memcpy(one.data, en.msg.data, one.data_len + 1);
	entry_fini(&en);
	if (one.data == NULL) {
		free(one.event);
		return -ENOMEM;
	}
	v[rp->n_v++] = one;
	return 0;
}

/* The newest are first; one more than "history" was asked for, to see whether there are more. */
static void
on_range(void *arg, const redisReply *reply)
{
	struct question q = *(struct question *)arg;
	unsigned history;
	size_t i, n;

	free(arg);
	if (q.rp->sub == NULL) {
		answered(q.rp);
		return;
	}
	history = q.rp->feed->class->settings->history;
	if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
		q.rp->has_failed = true;
		answered(q.rp);
		return;
	}
	n = reply->elements;
	if (n > history) {
		n = history;
		q.rp->is_trimmed = true;
	}
	for (i = 0; i < n && !q.rp->has_failed; i++)
		q.rp->has_failed = keep_entry(q.rp, q.stream, reply->element[i]) < 0;
	answered(q.rp);
}

static void
question(struct replay *rp, unsigned stream, command_fn fn, int argc, const char *const *argv)
{
	struct command *command = rp->feed->class->hub->command;
	struct question *q = malloc(sizeof(*q));

	if (q == NULL || command == NULL) {
		rp->has_failed = true;
		free(q);
		return;
	}
	*q = (struct question){rp, stream};
	if (command_send(command, fn, q, argc, argv, NULL) < 0) {
		rp->has_failed = true;
		free(q);
		return;
	}
	rp->n_pending++;
}

static void
ask_info(struct replay *rp, unsigned stream)
{
	char key[STREAM_KEY_MAX];
	const char *argv[] = {"XINFO", "STREAM", key};

	replay_print_key(key, rp->feed, stream);
	question(rp, stream, on_info, 3, argv);
}

static void
ask_range(struct replay *rp, unsigned stream)
{
	const struct feed_settings *fs = rp->feed->class->settings;
	char to[STREAM_ID_TEXT], from[STREAM_ID_TEXT + 1] = "-", count[16];
	char key[STREAM_KEY_MAX];
	const char *argv[] = {"XREVRANGE", key, to, from, "COUNT", count};

	replay_print_key(key, rp->feed, stream);
	stream_id_print(to, &rp->to[stream]);
	if (rp->is_resumed) {
		from[0] = '(';
		stream_id_print(from + 1, &rp->from[stream]);
	}
	snprintf(count, sizeof(count), "%u",
		 !rp->is_resumed && fs->start.last > 0 && fs->start.last <= fs->history
		     ? fs->start.last
		     : fs->history + 1);
	question(rp, stream, on_range, 6, argv);
}

/* Snapshots */

static void
keep_snapshot(struct replay *rp, struct message *reply)
{
	const char *bytes;
	size_t len;

	if (reply == NULL) {
		rp->has_failed = true;
		return;
	}
	if ((bytes = message_bytes(reply, &len)) == NULL)
		return; /* there is no such key */
	free(rp->snapshot);
	if ((rp->snapshot = malloc(len + 1)) == NULL) {
		rp->has_failed = true;
		return;
	}
	memcpy(rp->snapshot, bytes, len);
	rp->snapshot_len = len;
}

static void ask_snapshot(struct feed *fd);

static void
on_snapshot(struct feed *fd, struct message *reply)
{
	while (!list_is_empty(&fd->more->snapshot_asked)) {
		struct replay *rp =
		    LIST_ENTRY(fd->more->snapshot_asked.next, struct replay, of_snapshot);

		list_del(&rp->of_snapshot);
		keep_snapshot(rp, reply);
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
	if (list_is_empty(&fd->more->snapshot_wanted) || !list_is_empty(&fd->more->snapshot_asked))
		return;
	list_splice_tail(&fd->more->snapshot_asked, &fd->more->snapshot_wanted);
	if (more_ask_words(fd, fd->class->settings->snapshot, on_snapshot) < 0)
		on_snapshot(fd, NULL);
}

static void
want_snapshot(struct replay *rp)
{
	rp->n_pending++;
	list_move_tail(&rp->feed->more->snapshot_wanted, &rp->of_snapshot);
}

static bool
is_zero(const struct stream_id *id)
{
	return id->ms == 0 && id->seq == 0;
}

/*
 * All that is to be known. One pending question of our own keeps what fails at once from ending it
 * in the middle.
 */
static void
ask(struct replay *rp)
{
	unsigned i;

	rp->has_failed = false;
	rp->is_trimmed = false;
	rp->n_pending = 1;
	if (rp->state == REPLAY_ASKED && rp->feed->class->settings->snapshot != NULL &&
	    (!rp->is_resumed || rp->is_unknown))
		want_snapshot(rp);
	for (i = 0; i < rp->n; i++) {
		if (rp->state == REPLAY_LAGGING) {
			ask_info(rp, i);
			continue;
		}
		if (rp->is_unknown || (!rp->is_resumed && !rp->is_past_wanted))
			continue;
		if (is_zero(&rp->to[i]) ||
		    (rp->is_resumed && stream_id_compare(&rp->from[i], &rp->to[i]) >= 0))
			continue; /* nothing lies between */
		ask_range(rp, i);
		if (rp->is_resumed)
			ask_info(rp, i);
	}
	if (!list_is_empty(&rp->of_snapshot))
		ask_snapshot(rp->feed);
	answered(rp);
}

/* The place in the log, and with it the feed's cursor, up to which Redis is asked. */
static void
take_place(struct replay *rp)
{
	bool has_place = rp->is_resumed && !rp->is_unknown;

	memcpy(rp->to, feed_place(rp->feed, has_place ? rp->from : NULL), sizeof(rp->to));
	subscriber_hold_place(rp->sub);
	rp->state = REPLAY_ASKED;
	ask(rp);
}

/* Is all that it missed in the log? Then it is sent that, and this replay is over. */
static bool
is_recent(struct replay *rp)
{
	struct feed *fd = rp->feed;
	struct subscriber *sub = rp->sub;
	uint64_t max = fd->class->settings->max_events, at;
	char text[STREAM_CURSOR_TEXT];
	unsigned n_events;

	if (!rp->is_resumed || rp->is_unknown || !recent_find(fd, rp->from, &at, &n_events) ||
	    (max > 0 && n_events >= max))
		return false;
	stream_cursor_print(text, rp->from, rp->n);
	let_go(rp);
	counters_add(COUNTER_REPLAYED, n_events);
	subscriber_open_at(sub, at, n_events, text);
	return true;
}

bool
replay_begin(struct subscriber *sub)
{
	struct replay *rp = find(sub->feed, sub);

	if (rp == NULL)
		return false;
	if (rp->state != REPLAY_PLANNED)
		return true;
	if (is_recent(rp))
		return true;
	if (is_ahead(rp)) {
		rp->state = REPLAY_LAGGING;
		ask(rp);
	} else {
		take_place(rp);
	}
	return true;
}

void
replay_go_on(struct feed *fd)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &fd->more->replays) {
		struct replay *rp = LIST_ENTRY(node, struct replay, of_feed);

		if (rp->state == REPLAY_LAGGING && rp->n_pending == 0 && !is_ahead(rp))
			take_place(rp);
	}
}
