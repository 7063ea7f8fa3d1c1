#include "hub/private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "base/random.h"
#include "sse/wire.h"

/* What a short answer may hold, and what a stream's own frames may add to its queue. */
enum { ANSWER_MAX = 1024 * 1024 + 4096, OWN_SLACK = 4096 };

/* Clients go by the event's name, so "for good" and "come back" have one each. */
static const char come_back[] = "stream-end", for_good[] = "stream-done";

static const struct {
	const char *event, *name;
} reasons[] = {
    [END_UNTIL] = {for_good, "until"},         [END_MAX_EVENTS] = {for_good, "max_events"},
    [END_ABANDONED] = {for_good, "abandoned"}, [END_LIFETIME] = {come_back, "lifetime"},
    [END_IDLE] = {come_back, "idle"},          [END_SLOW] = {come_back, "slow"},
    [END_RELOAD] = {come_back, "reload"},      [END_DRAIN] = {come_back, "drain"},
    [END_AUTH] = {come_back, "auth"},
};

/* What a subscriber has in each state, and which may be the next. */
static const struct {
	bool has_feed, is_joined, has_place;
	unsigned next; /* bits of enum subscriber_state */
} states[] = {
#define MAY(state) (1U << SUBSCRIBER_##state)
    [SUBSCRIBER_NEW] = {.next = MAY(WAITING) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_WAITING] = {.has_feed = true,
			    .is_joined = true,
			    .next = MAY(REPLAYING) | MAY(OPEN) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_REPLAYING] = {.has_feed = true,
			      .is_joined = true,
			      .next = MAY(OPEN) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_OPEN] = {.has_feed = true,
			 .is_joined = true,
			 .has_place = true,
			 .next = MAY(LAPSED) | MAY(ENDING) | MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_LAPSED] = {.has_feed = true, .is_joined = true, .next = MAY(OPEN) | MAY(GONE)},
    [SUBSCRIBER_ENDING] = {.has_feed = true, .has_place = true, .next = MAY(LAST) | MAY(GONE)},
    [SUBSCRIBER_LAST] = {.next = MAY(GONE)}, /* a short answer has no feed, a stream has one */
    [SUBSCRIBER_GONE] = {.next = 0},
#undef MAY
};

static bool
reads_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_OPEN || sub->state == SUBSCRIBER_ENDING;
}

/* Its bytes are its own, until it has its place in the log. */
static bool
is_before_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_WAITING || sub->state == SUBSCRIBER_REPLAYING;
}

static bool
has_place(const struct subscriber *sub)
{
	return states[sub->state].has_place;
}

/*
 * What state, lists and cursor may be together. It holds whenever control leaves this file, so
 * that nobody else has to ask for the state before they follow a list or use a cursor.
 */
static void
check(const struct subscriber *sub)
{
	assert(sub->state == SUBSCRIBER_LAST || (sub->feed != NULL) == states[sub->state].has_feed);
	assert(!list_is_empty(&sub->joined) == states[sub->state].is_joined);
	assert(!has_place(sub) || log_has(&sub->feed->out.log, sub->cursor));
	assert(heap_has(&sub->blocked) == (sub->is_blocked && reads_log(sub)));
	assert(!sub->is_blocked || list_is_empty(&sub->node));
	assert(sub->state != SUBSCRIBER_LAPSED || sub->is_blocked);
	assert(sub->state != SUBSCRIBER_ENDING || sub->cursor < sub->end_at);
	assert(!sub->is_held || is_before_log(sub));
	assert(sub->state != SUBSCRIBER_GONE || list_is_empty(&sub->node));
}

static void
set_state(struct subscriber *sub, enum subscriber_state state)
{
	assert(states[sub->state].next & (1U << state));
	sub->state = (unsigned char)state;
}

static const struct feed_settings *
settings_of(const struct subscriber *sub)
{
	return sub->feed->class->settings;
}

static const struct wire *
wire_of(const struct subscriber *sub)
{
	return sub->feed->out.log.wire;
}

static struct hub *
hub_of(const struct subscriber *sub)
{
	return sub->feed->class->hub;
}

/* Have it written at the turn's end. One that is blocked waits for its descriptor. */
static void
make_ready(struct subscriber *sub)
{
	if (sub->feed != NULL && !sub->is_blocked)
		list_move_tail(&hub_of(sub)->turn.ready, &sub->node);
	check(sub);
}

/* Among those whose lag is looked at stands who is blocked and reads the log, and nobody else. */
static void
watch_lag(struct subscriber *sub)
{
	heap_del(&sub->feed->out.blocked, &sub->blocked);
	if (sub->is_blocked && reads_log(sub))
		heap_add(&sub->feed->out.blocked, &sub->blocked, sub->cursor);
}

/* No bytes of the feed's follow: its own are the last. */
static void
stop_reading(struct subscriber *sub)
{
	if (has_place(sub))
		log_leave(&sub->feed->out.log, sub->cursor);
	if (is_before_log(sub)) {
		sub->feed->n_waiting--;
		replay_cancel(sub);
	}
	set_state(sub, SUBSCRIBER_LAST);
	watch_lag(sub);
}

/* Ended: no new events concern it, and it has some seconds to read the rest. */
static void
begin_ending(struct subscriber *sub)
{
	list_del(&sub->joined);
	fifo_del(&sub->quiet);
	fifo_add(&hub_of(sub)->endings, &sub->life);
}

/* Of the first bytes that it is sent, 0 in all others. +-20 %: a restart must not bring all back at
 * once. */
static unsigned
take_retry(struct subscriber *sub)
{
	unsigned ms = settings_of(sub)->retry_ms, spread = ms / 5;

	if (sub->is_told_retry)
		return 0;
	sub->is_told_retry = true;
	return ms - spread + random_below(2 * spread + 1);
}

/*
 * The last frame. Ended for good, it carries an id that ends in ".end", with
 * which the client's next request is answered 204; without it the client comes back.
 */
int
subscriber_put_end(struct buf *b, const struct wire *wire, const struct feed_settings *fs,
		   enum end_reason reason, unsigned retry_ms)
{
	static const char end_id[] = "0.end";
	bool is_for_good = reasons[reason].event == for_good;
	char data[64];
	struct event ev = {.type = reasons[reason].event,
			   .type_len = strlen(reasons[reason].event),
			   .data = data,
			   .retry_ms = retry_ms};

	if (is_for_good) {
		ev.id = end_id;
		ev.id_len = strlen(end_id);
	}
	if (!fs->announce && !is_for_good)
		return wire->lines(b, retry_ms, NULL, 0);
	if (!fs->announce && wire->id != NULL)
		return wire->id(b, ev.id, ev.id_len);
	ev.data_len =
	    (size_t)snprintf(data, sizeof(data), "{\"reason\":\"%s\"}", reasons[reason].name);
	return wire->event(b, &ev, NULL);
}

/* The log is read up to the end: all that remains are bytes of its own. */
static void
finish(struct subscriber *sub)
{
	const struct feed_settings *fs = settings_of(sub);
	unsigned retry_ms = take_retry(sub);

	if (sub->reason == END_DRAIN)
		retry_ms = hub_return_ms(hub_of(sub), retry_ms);
	stop_reading(sub);
	if (subscriber_put_end(&sub->own, wire_of(sub), fs, sub->reason, retry_ms) < 0)
		logger_error("out of memory: a stream ends without saying why");
}

static int
put_slow_reset(struct subscriber *sub)
{
	static const char data[] = "{\"reason\":\"slow\"}";
	struct event ev = {.type = "stream-reset",
			   .type_len = strlen("stream-reset"),
			   .data = data,
			   .data_len = sizeof(data) - 1};

	if (!settings_of(sub)->announce)
		return 0;
	return wire_of(sub)->event(&sub->own, &ev, NULL);
}

static void
end_slow(struct subscriber *sub)
{
	sub->reason = END_SLOW;
	if (sub->state == SUBSCRIBER_OPEN)
		begin_ending(sub);
	finish(sub);
}

/* It goes on where those who were too slow do, and is told if there is anything in between. */
static void
return_to_log(struct subscriber *sub)
{
	struct feed *fd = sub->feed;
	bool is_behind = sub->cursor < fd->out.lapsed_at;

	if (is_behind)
		sub->cursor = fd->out.lapsed_at;
	log_enter_at(&fd->out.log, sub->cursor);
	set_state(sub, SUBSCRIBER_OPEN);
	outlet_lapsed_left(&fd->out);
	watch_lag(sub);
	if (is_behind && put_slow_reset(sub) < 0)
		end_slow(sub);
}

void
subscriber_init(struct subscriber *sub, const struct subscriber_ops *ops)
{
	memset(sub, 0, sizeof(*sub));
	sub->ops = ops;
	list_init(&sub->node);
	list_init(&sub->joined);
	fifo_node_init(&sub->life);
	fifo_node_init(&sub->quiet);
	heap_node_init(&sub->blocked);
	buf_init(&sub->own, ANSWER_MAX);
	sub->end_at = UINT64_MAX;
}

int
subscriber_answer(struct subscriber *sub, const struct answer *a, bool with_body)
{
	size_t body_len = with_body ? a->body.len : 0;
	int rc;

	set_state(sub, SUBSCRIBER_LAST);
	if ((rc = buf_reserve(&sub->own, a->head.len + body_len)) < 0 ||
	    (rc = buf_put(&sub->own, a->head.p, a->head.len)) < 0)
		return rc;
	return buf_put(&sub->own, a->body.p, body_len);
}

void
subscriber_answer_problem(struct subscriber *sub, int status)
{
	struct answer a;

	answer_init(&a);
	answer_problem(&a, status, NULL, 0);
	if (answer_end(&a) < 0 || subscriber_answer(sub, &a, true) < 0)
		logger_error("out of memory: an answer is empty");
	answer_fini(&a);
}

/* One more piece of what waits, of which at most max bytes are wanted. */
static size_t
put_piece(struct iovec *iov, int *n, const char *p, size_t len, size_t max)
{
	if (len == 0)
		return 0;
	iov[*n].iov_base = (char *)p;
	iov[*n].iov_len = len < max ? len : max;
	return iov[(*n)++].iov_len;
}

size_t
subscriber_gather(const struct subscriber *sub, struct iovec *iov, int *n_iov, size_t max)
{
	int n = 0, n_log;
	size_t total = 0;
	uint64_t to;

	if (sub->is_held || *n_iov == 0) {
		*n_iov = 0;
		return 0;
	}
	total += put_piece(iov, &n, sub->rest.p, sub->rest.len, max);
	if (n < *n_iov && total < max)
		total += put_piece(iov, &n, sub->own.p, sub->own.len, max - total);
	if (reads_log(sub) && total == sub->rest.len + sub->own.len) {
		to = sub->feed->out.log.end < sub->end_at ? sub->feed->out.log.end : sub->end_at;
		if (to - sub->cursor > max - total)
			to = sub->cursor + (max - total);
		n_log = *n_iov - n;
		total += log_gather(&sub->feed->out.log, sub->cursor, to, iov + n, &n_log);
		n += n_log;
	}
	*n_iov = n;
	return total;
}

static size_t
take_up_to(size_t *len, size_t max)
{
	size_t n = *len < max ? *len : max;

	*len -= n;
	return n;
}

void
subscriber_sent(struct subscriber *sub, size_t len)
{
	counters_add_of(sub->feed != NULL ? sub->feed->class->counted : 0, COUNTER_BYTES,
			(int64_t)len);
	log_piece_consume(&sub->rest, take_up_to(&len, sub->rest.len));
	buf_consume(&sub->own, take_up_to(&len, sub->own.len));
	if (len == 0)
		return;
	log_move(&sub->feed->out.log, sub->cursor, sub->cursor + len);
	sub->cursor += len;
	if (sub->cursor == sub->end_at)
		finish(sub);
}

bool
subscriber_has_bytes(const struct subscriber *sub)
{
	struct iovec iov;
	int n = 1;

	return subscriber_gather(sub, &iov, &n, 1) > 0;
}

size_t
subscriber_n_unsent(const struct subscriber *sub)
{
	return sub->rest.len + sub->own.len +
	       (reads_log(sub) ? (size_t)(sub->feed->out.log.end - sub->cursor) : 0);
}

const char *
subscriber_filler(const struct subscriber *sub)
{
	return sub->feed != NULL ? wire_of(sub)->filler : wire_event_stream.filler;
}

int
subscriber_end_filler(struct subscriber *sub)
{
	return buf_putc(&sub->own, '\n');
}

bool
subscriber_is_over_after(const struct subscriber *sub, size_t len)
{
	return sub->state == SUBSCRIBER_LAST && len == sub->rest.len + sub->own.len;
}

bool
subscriber_is_finished(const struct subscriber *sub)
{
	return subscriber_is_over_after(sub, 0);
}

void
subscriber_unblocked(struct subscriber *sub)
{
	sub->is_blocked = false;
	if (sub->feed == NULL) {
		sub->ops->send(sub);
		return;
	}
	watch_lag(sub);
	if (sub->state == SUBSCRIBER_LAPSED)
		return_to_log(sub);
	make_ready(sub);
}

/* From Redis to here, for the newest event. */
static void
count_time(const struct feed *fd)
{
	uint64_t now = fd->class->hub->turn.wrote_us;

	if (fd->out.arrived_us != 0 && now >= fd->out.arrived_us)
		counters_took(fd->class->counted, now - fd->out.arrived_us);
}

/* The hub has had it written. */
void
subscriber_flushed(struct subscriber *sub, enum send_result result)
{
	struct feed *fd = sub->feed;

	if (result == SEND_BLOCKED) {
		sub->is_blocked = true;
		list_del(&sub->node);
		watch_lag(sub);
		check(sub);
		return;
	}
	if (sub->state == SUBSCRIBER_REPLAYING && sub->own.len == 0) {
		replay_taken(sub);
		return;
	}
	if (sub->state != SUBSCRIBER_OPEN)
		return;
	list_move_tail(&fd->out.caught_up, &sub->node);
	if (queue_is(fd))
		queue_flushed(fd, sub);
	if (fd->more != NULL && fd->more->on_flushed != NULL)
		fd->more->on_flushed(fd);
	if (sub->n_seen != fd->out.n_events) {
		feed_count(fd, COUNTER_DELIVERIES, fd->out.n_events - sub->n_seen);
		count_time(fd);
		sub->n_seen = fd->out.n_events;
		if (settings_of(sub)->idle_ms > 0)
			fifo_add(&fd->class->idles, &sub->quiet);
	}
}

/* Of a feed that tells a state: what it is now. */
static void
put_last(struct subscriber *sub)
{
	const struct feed_more *more = sub->feed->more;

	if (more == NULL || more->last.len == 0)
		return;
	sub->own.cap += more->last.len;
	if (buf_put(&sub->own, more->last.p, more->last.len) < 0)
		logger_error("out of memory: a subscriber is not told the newest event");
}

/*
 * The first frame: that it is open, where the client stands, for its next Last-Event-ID, and when
 * it is to come back. Unannounced, the latter two are lines of the first frame that has data.
 */
int
subscriber_put_open(struct subscriber *sub, bool is_resumed, const char *cursor)
{
	char data[64 + CURSOR_TEXT];
	struct event ev = {.id = cursor,
			   .id_len = cursor != NULL ? strlen(cursor) : 0,
			   .type = "stream-open",
			   .type_len = strlen("stream-open"),
			   .data = data,
			   .retry_ms = take_retry(sub)};

	if (!settings_of(sub)->announce)
		return wire_of(sub)->lines(&sub->own, ev.retry_ms, ev.id, ev.id_len);
	ev.data_len =
	    (size_t)snprintf(data, sizeof(data), "{\"resumed\":%s,\"from\":%s%s%s}",
			     is_resumed ? "true" : "false", cursor != NULL ? "\"" : "",
			     cursor != NULL ? cursor : "null", cursor != NULL ? "\"" : "");
	return wire_of(sub)->event(&sub->own, &ev, NULL);
}

static void
enter_log(struct subscriber *sub)
{
	struct feed *fd = sub->feed;

	fd->n_waiting--;
	sub->cursor = log_enter(&fd->out.log);
	sub->n_before = sub->n_seen = fd->out.n_events;
}

void
subscriber_begin_times(struct subscriber *sub)
{
	sub->is_held = false;
	fifo_del(&sub->quiet);
	if (settings_of(sub)->lifetime_ms > 0)
		fifo_add(&sub->feed->class->lifetimes, &sub->life);
}

/* From now on silence is the feed's. */
static void
begin_reading(struct subscriber *sub)
{
	set_state(sub, SUBSCRIBER_OPEN);
	watch_lag(sub);
	if (settings_of(sub)->idle_ms > 0)
		fifo_add(&sub->feed->class->idles, &sub->quiet);
}

void
subscriber_begin_replay(struct subscriber *sub)
{
	set_state(sub, SUBSCRIBER_REPLAYING);
	if (sub->is_held) /* as long as Redis does not answer */
		fifo_add(&sub->feed->class->openings, &sub->quiet);
	check(sub);
}

void
subscriber_has_more(struct subscriber *sub)
{
	make_ready(sub);
}

static void
end_at(struct subscriber *sub, uint64_t at, enum end_reason reason)
{
	assert(sub->state == SUBSCRIBER_OPEN && at >= sub->cursor);
	sub->reason = (unsigned char)reason;
	sub->end_at = at;
	begin_ending(sub);
	set_state(sub, SUBSCRIBER_ENDING);
	if (sub->cursor == at)
		finish(sub);
	make_ready(sub);
}

void
subscriber_go_on(struct subscriber *sub, uint64_t place, uint32_t n_seen, uint32_t n_events)
{
	assert(sub->state == SUBSCRIBER_REPLAYING);
	sub->feed->n_waiting--;
	sub->cursor = place;
	sub->n_seen = n_seen;
	sub->n_before = n_seen - n_events;
	begin_reading(sub);
	if (place < sub->feed->abandoned_at) /* meanwhile, for all who were there */
		end_at(sub, sub->feed->abandoned_at, END_ABANDONED);
	else
		make_ready(sub);
}

void
subscriber_open(struct subscriber *sub)
{
	struct feed *fd = sub->feed;
	char cursor[CURSOR_TEXT] = "";
	bool can_resume = fd->more != NULL && fd->more->n_streams > 0;

	assert(sub->state == SUBSCRIBER_WAITING);
	if (replay_begin(sub))
		return;
	enter_log(sub);
	subscriber_begin_times(sub);
	begin_reading(sub);
	if (can_resume)
		cursor_print(cursor, fd, feed_place(fd, NULL), fd->more->n_streams);
	if (subscriber_put_open(sub, false, can_resume ? cursor : NULL) < 0)
		logger_error("out of memory: a stream opens without stream-open");
	put_last(sub);
	make_ready(sub);
	if (queue_is(fd))
		queue_joined(fd, sub);
}

void
subscriber_open_at(struct subscriber *sub, uint64_t at, unsigned n_events, const char *cursor)
{
	struct feed *fd = sub->feed;

	assert(sub->state == SUBSCRIBER_WAITING);
	fd->n_waiting--;
	sub->cursor = log_enter_at(&fd->out.log, at);
	sub->n_before = sub->n_seen = fd->out.n_events - n_events;
	subscriber_begin_times(sub);
	begin_reading(sub);
	if (subscriber_put_open(sub, true, cursor) < 0)
		logger_error("out of memory: a stream opens without stream-open");
	make_ready(sub);
}

void
subscriber_release(struct subscriber *sub)
{
	sub->is_held = false;
	if (wire_of(sub)->lines(&sub->own, take_retry(sub), NULL, 0) < 0)
		logger_error("out of memory: a client is not told when to come back");
	make_ready(sub);
}

/* A heartbeat for one that does not read the log yet; a client that does not read gets none. */
int
subscriber_put_heartbeat(struct subscriber *sub, const char *frame, size_t len)
{
	int rc;

	if (!is_before_log(sub) || sub->is_held || sub->is_blocked)
		return 0;
	if ((rc = buf_put(&sub->own, frame, len)) == 0)
		make_ready(sub);
	return rc;
}

void
subscriber_probe(struct subscriber *sub)
{
	if (sub->ops->probe != NULL) {
		sub->ops->probe(sub);
		return;
	}
	if (sub->feed == NULL || sub->state == SUBSCRIBER_LAST || sub->is_held || sub->is_blocked ||
	    subscriber_has_bytes(sub))
		return;
	if (buf_puts(&sub->own, subscriber_filler(sub)) == 0)
		make_ready(sub);
}

/* All that waits in the log becomes its own. Returns 0, -ENOMEM: nothing has changed. */
static int
own_all(struct subscriber *sub)
{
	struct log *lg = &sub->feed->out.log;
	size_t before = sub->own.len, len = 0;
	uint64_t at = sub->cursor;
	struct iovec iov;
	int n, rc = 0;

	for (; at < lg->end && rc == 0; at += len) {
		n = 1;
		len = log_gather(lg, at, lg->end, &iov, &n);
		rc = buf_put(&sub->own, iov.iov_base, len);
	}
	if (rc < 0) {
		buf_truncate(&sub->own, before);
		return rc;
	}
	log_move(lg, sub->cursor, at);
	sub->cursor = at;
	return 0;
}

static bool
is_alone(const struct subscriber *sub)
{
	const struct list *joined = &sub->feed->out.joined;

	return joined->next == &sub->joined && joined->prev == &sub->joined;
}

/*
 * It ends, and its feed holds events for later. If it is the last, they go out now; else it alone
 * is given them, for the others are not to get more in a time than their route says. With the last
 * of its events, within whose sending this is called, the feed must not send more.
 */
static void
give_held(struct subscriber *sub, enum end_reason reason)
{
	int n;

	if (reason == END_SLOW || !feed_holds(sub->feed))
		return; /* who is slow misses more than that, and is told so */
	if (reason != END_MAX_EVENTS && is_alone(sub)) {
		pace_flush(sub->feed);
		return;
	}
	sub->own.cap = SIZE_MAX / 2; /* what is held is bounded where it is held */
	if (own_all(sub) < 0 || (n = pace_put_held(sub->feed, &sub->own)) < 0)
		logger_error("out of memory: a stream ends without what was held for it");
	else
		feed_count(sub->feed, COUNTER_DELIVERIES, n);
}

void
subscriber_end(struct subscriber *sub, enum end_reason reason)
{
	switch (sub->state) {
	case SUBSCRIBER_LAPSED:
		return_to_log(sub);
		subscriber_end(sub, reason);
		break;
	case SUBSCRIBER_OPEN:
		give_held(sub, reason);
		if (sub->state == SUBSCRIBER_OPEN)
			end_at(sub, sub->feed->out.log.end, reason);
		else
			subscriber_end(sub, reason); /* it became too slow, or had all, by that */
		break;
	case SUBSCRIBER_REPLAYING:
	case SUBSCRIBER_WAITING:
		sub->reason = (unsigned char)reason;
		sub->is_held = false;
		begin_ending(sub);
		finish(sub);
		make_ready(sub);
		break;
	default:
		break;
	}
}

/*
 * What the client has in part it gets whole: the rest of the frame is its own from now on, and is
 * sent before all else. Bytes of its own stand before the log, so there is none of both.
 */
static void
keep_rest_of_frame(struct subscriber *sub)
{
	struct log *lg = &sub->feed->out.log;
	uint64_t end = log_boundary(lg, sub->cursor);

	if (end == sub->cursor)
		return;
	assert(sub->rest.len == 0 && sub->own.len == 0);
	log_take(lg, sub->cursor, end, &sub->rest);
	log_move(lg, sub->cursor, end);
	sub->cursor = end;
}

int
subscriber_give(struct subscriber *sub, const char *frame, size_t len, unsigned n_events)
{
	int rc;

	if (sub->own.cap < sub->own.len + len + OWN_SLACK)
		sub->own.cap = sub->own.len + len + OWN_SLACK;
	keep_rest_of_frame(sub);
	if ((rc = buf_put(&sub->own, frame, len)) < 0)
		return rc;
	feed_count(sub->feed, COUNTER_DELIVERIES, n_events);
	if (settings_of(sub)->idle_ms > 0)
		fifo_add(&sub->feed->class->idles, &sub->quiet);
	make_ready(sub);
	return 0;
}

/* Out of the log: it costs nobody anything until its client reads again. */
static void
lapse(struct subscriber *sub)
{
	outlet_lapsed_joined(&sub->feed->out, sub->cursor);
	log_leave(&sub->feed->out.log, sub->cursor);
	set_state(sub, SUBSCRIBER_LAPSED);
	watch_lag(sub);
}

void
subscriber_overflow(struct subscriber *sub)
{
	assert(heap_has(&sub->blocked));
	feed_count(sub->feed, COUNTER_SLOW, 1);
	keep_rest_of_frame(sub);
	if (sub->cursor == sub->end_at)
		finish(sub); /* with that frame it has all */
	else if (settings_of(sub)->overflow == OVERFLOW_DISCONNECT ||
		 sub->state == SUBSCRIBER_ENDING)
		end_slow(sub);
	else
		lapse(sub);
	check(sub);
}

void
subscriber_shed(struct subscriber *sub)
{
	assert(sub->is_blocked);
	feed_count(sub->feed, COUNTER_SLOW, 1);
	if (!reads_log(sub)) {
		subscriber_end(sub, END_SLOW);
		return;
	}
	keep_rest_of_frame(sub);
	if (sub->cursor == sub->end_at)
		finish(sub);
	else
		end_slow(sub);
	check(sub);
}

int
subscriber_watch(struct subscriber *sub, struct subscriber_watch *watch)
{
	int rc;

	assert(sub->feed != NULL && !sub->is_watched);
	watch->number = (uintptr_t)sub;
	rc = map_add(&hub_of(sub)->watches, &watch->by_subscriber, (const char *)&watch->number,
		     sizeof(watch->number));
	sub->is_watched = rc == 0;
	return rc;
}

void
subscriber_unwatch(struct subscriber *sub, struct subscriber_watch *watch)
{
	sub->is_watched = false;
	map_del(&hub_of(sub)->watches, &watch->by_subscriber);
}

static void
tell_watch(struct subscriber *sub)
{
	uintptr_t number = (uintptr_t)sub;
	struct map_node *node =
	    map_find(&hub_of(sub)->watches, (const char *)&number, sizeof(number));
	struct subscriber_watch *watch;

	assert(node != NULL);
	watch = MAP_ENTRY(node, struct subscriber_watch, by_subscriber);
	subscriber_unwatch(sub, watch);
	watch->left(watch);
}

void
subscriber_hold(struct subscriber *sub, struct subscriber_holder *holder)
{
	holder->sub = sub;
	sub->holder = holder;
}

struct subscriber *
subscriber_let_go(struct subscriber_holder *holder)
{
	struct subscriber *sub = holder->sub;

	if (sub != NULL)
		sub->holder = NULL;
	holder->sub = NULL;
	return sub;
}

static void
tell_holder(struct subscriber *sub)
{
	struct subscriber_holder *holder = sub->holder;

	(void)subscriber_let_go(holder);
	if (holder->left != NULL)
		holder->left(holder);
}

void
subscriber_close(struct subscriber *sub)
{
	struct feed *fd = sub->feed;

	if (sub->state == SUBSCRIBER_GONE)
		return;
	if (fd == NULL && sub->holder != NULL)
		tell_holder(sub);
	if (fd != NULL) {
		if (sub->is_watched)
			tell_watch(sub);
		if (queue_is(fd))
			queue_left(fd, sub);
		if (has_place(sub))
			log_leave(&fd->out.log, sub->cursor);
		if (is_before_log(sub)) {
			fd->n_waiting--;
			replay_cancel(sub);
		}
		if (sub->state == SUBSCRIBER_LAPSED)
			outlet_lapsed_left(&fd->out);
		heap_del(&fd->out.blocked, &sub->blocked);
		list_del(&sub->node);
		list_del(&sub->joined);
		fifo_del(&sub->life);
		fifo_del(&sub->quiet);
		sub->feed = NULL;
		feed_left(fd);
	}
	log_piece_consume(&sub->rest, sub->rest.len);
	buf_fini(&sub->own);
	sub->is_blocked = sub->is_held = false;
	set_state(sub, SUBSCRIBER_GONE);
	check(sub);
}

int
feed_join(struct feed *fd, struct subscriber *sub, const char *head, size_t head_len,
	  const char *last_event_id)
{
	const struct feed_settings *fs = fd->class->settings;
	int rc;

	assert(sub->state == SUBSCRIBER_NEW);
	buf_init(&sub->own, fs->queue + head_len + OWN_SLACK);
	if ((rc = replay_plan(fd, sub, last_event_id)) < 0 ||
	    (rc = buf_put(&sub->own, head, head_len)) < 0) {
		buf_truncate(&sub->own, 0); /* it gets another answer */
		replay_cancel(sub);
		return rc;
	}
	sub->feed = fd;
	if (fd->n_subs == 0 && fd->more != NULL && last_event_id == NULL)
		pace_clear(&fd->more->pace); /* it was held for others, and this is none of them */
	fd->n_subs++;
	fd->n_waiting++;
	fd->class->hub->n_subs++;
	feed_count(fd, COUNTER_SUBSCRIBERS, 1);
	fifo_del(&fd->linger);
	list_add_tail(&fd->out.joined, &sub->joined);
	set_state(sub, SUBSCRIBER_WAITING);
	sub->is_held = true;
	feed_listen(fd);
	if (fd->n_unconfirmed == 0)
		subscriber_open(sub);
	else
		fifo_add(&fd->class->openings, &sub->quiet);
	check(sub);
	return 0;
}
