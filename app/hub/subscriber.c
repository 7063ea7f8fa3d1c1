#include "hub/subscriber.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "hub/announce.h"
#include "hub/outlet.h"
#include "hub/settings.h"
#include "hub/short_answer.h"
#include "hub/subscriber_state.h"
#include "hub/watch.h"
#include "sse/wire.h"

/*
 * The most that a short answer may hold, and the most that a stream's own frames may add to its
 * queue.
 */
enum { ANSWER_MAX = 1024 * 1024 + 4096, OWN_SLACK = 4096 };

static const struct feed_settings *
settings_of(const struct subscriber *sub)
{
	return sub->outlet->class->settings;
}

static const struct wire *
wire_of(const struct subscriber *sub)
{
	return sub->outlet->log.wire;
}

static struct outlets *
all_of(const struct subscriber *sub)
{
	return sub->outlet->class->all;
}

static void
count(const struct subscriber *sub, enum counter c, int64_t n)
{
	counters_add_of(sub->outlet->class->counted, c, n);
}

/* Has it written at the turn's end. One that is blocked waits for its descriptor. */
static void
make_ready(struct subscriber *sub)
{
	if (subscriber_is_stream(sub) && !sub->is_blocked)
		list_move_tail(&all_of(sub)->turn.ready, &sub->node);
	subscriber_check(sub);
}

/* In the heap of the blocked stand those who are blocked and read the log, and no others. */
static void
watch_lag(struct subscriber *sub)
{
	if (sub->is_lagging) {
		heap_del(&sub->outlet->blocked, &sub->blocked);
		list_init(&sub->node);
	}
	sub->is_lagging = sub->is_blocked && subscriber_reads_log(sub);
	if (sub->is_lagging)
		heap_add(&sub->outlet->blocked, &sub->blocked, sub->cursor);
}

/* It has come to this place in the log: one that lags stands in the heap by its place. */
static void
move_on(struct subscriber *sub, uint64_t at)
{
	log_move(&sub->outlet->log, sub->cursor, at);
	sub->cursor = at;
	if (sub->is_lagging)
		watch_lag(sub);
}

/* It has ended, and has read the log up to there. */
static bool
has_read_all(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_ENDING && sub->cursor == sub->end_at;
}

/* It reads the log, or ends, so its backlog is not needed any more. */
static void
stop_waiting(struct subscriber *sub)
{
	sub->outlet->n_waiting--;
	if (sub->backlog != NULL)
		sub->backlog->ops->cancel(sub->backlog);
}

/* It leaves the log: the bytes of its own are its last. */
static void
stop_reading(struct subscriber *sub)
{
	if (subscriber_reads_log(sub))
		log_leave(&sub->outlet->log, sub->cursor);
	if (subscriber_is_before_log(sub))
		stop_waiting(sub);
	subscriber_set_state(sub, SUBSCRIBER_LAST);
	watch_lag(sub);
}

/* It has ended: new events do not concern it, and its client has some seconds to read the rest. */
static void
begin_ending(struct subscriber *sub)
{
	list_del(&sub->joined);
	fifo_del(&sub->quiet);
	fifo_add(&all_of(sub)->endings, &sub->life);
}

/* It has read the log up to its end; only bytes of its own remain. */
static void
finish(struct subscriber *sub)
{
	const struct feed_settings *fs = settings_of(sub);
	unsigned retry_ms = subscriber_take_retry(sub);

	if (sub->reason == END_DRAIN)
		retry_ms = drain_return_ms(&all_of(sub)->drain, retry_ms);
	stop_reading(sub);
	if (subscriber_put_end(&sub->own, wire_of(sub), fs, sub->reason, retry_ms) < 0)
		logger_error("[route %s] out of memory: a stream ends without saying why",
			     fs->stages.route);
}

static void
end_slow(struct subscriber *sub)
{
	sub->reason = END_SLOW;
	if (sub->state == SUBSCRIBER_OPEN)
		begin_ending(sub);
	finish(sub);
}

/* It goes on where those do who were too slow, and is told if it has missed anything. */
static void
return_to_log(struct subscriber *sub)
{
	struct outlet *o = sub->outlet;
	bool is_behind = sub->cursor < o->lapsed_at;

	if (is_behind)
		sub->cursor = o->lapsed_at;
	log_enter_at(&o->log, sub->cursor);
	subscriber_set_state(sub, SUBSCRIBER_OPEN);
	outlet_lapsed_left(o);
	watch_lag(sub);
	if (is_behind && subscriber_put_reset(sub, "{\"reason\":\"slow\"}") < 0)
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
	buf_init(&sub->own, ANSWER_MAX);
}

int
subscriber_join(struct subscriber *sub, struct outlet *o, const char *head, size_t head_len)
{
	int rc;

	assert(sub->state == SUBSCRIBER_NEW);
	buf_init(&sub->own, o->class->settings->queue + head_len + OWN_SLACK);
	if ((rc = buf_put(&sub->own, head, head_len)) < 0)
		return rc;
	sub->outlet = o;
	o->n_subs++;
	o->n_waiting++;
	all_of(sub)->n_subs++;
	count(sub, COUNTER_SUBSCRIBERS, 1);
	list_add_tail(&o->joined, &sub->joined);
	subscriber_set_state(sub, SUBSCRIBER_WAITING);
	sub->is_held = true;
	fifo_add(&o->class->openings, &sub->quiet);
	subscriber_check(sub);
	return 0;
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
	counters_add_of(subscriber_is_stream(sub) ? sub->outlet->class->counted : 0, COUNTER_BYTES,
			(int64_t)len);
	if (sub->rest.len > 0)
		log_piece_consume(&sub->rest, take_up_to(&len, sub->rest.len));
	if (sub->own.len > 0)
		buf_consume(&sub->own, take_up_to(&len, sub->own.len));
	if (len == 0)
		return;
	move_on(sub, sub->cursor + len);
	if (has_read_all(sub))
		finish(sub);
}

void
subscriber_unblocked(struct subscriber *sub)
{
	sub->is_blocked = false;
	if (!subscriber_is_stream(sub)) {
		sub->ops->send(sub);
		return;
	}
	watch_lag(sub);
	if (sub->state == SUBSCRIBER_LAPSED)
		return_to_log(sub);
	make_ready(sub);
}

/* Counts the time from Redis to here, for the newest event. */
static void
count_time(const struct outlet *o)
{
	uint64_t now = o->class->all->turn.wrote_us;

	if (o->arrived_us != 0 && now >= o->arrived_us)
		counters_took(o->class->counted, now - o->arrived_us);
}

/* The turn has called send(), with this result. */
void
subscriber_flushed(struct subscriber *sub, enum send_result result)
{
	struct outlet *o = sub->outlet;

	if (result == SEND_BLOCKED) {
		sub->is_blocked = true;
		list_del(&sub->node);
		watch_lag(sub);
		subscriber_check(sub);
		return;
	}
	if (sub->state == SUBSCRIBER_REPLAYING && sub->own.len == 0 && sub->backlog != NULL) {
		sub->backlog->ops->taken(sub->backlog);
		return;
	}
	if (sub->state != SUBSCRIBER_OPEN)
		return;
	list_move_tail(&o->caught_up, &sub->node);
	if (sub->n_seen != o->n_events) {
		count(sub, COUNTER_DELIVERIES, o->n_events - sub->n_seen);
		count_time(o);
		sub->n_seen = o->n_events;
		if (settings_of(sub)->idle_ms > 0)
			fifo_add(&o->class->idles, &sub->quiet);
	}
	/* This comes last, because the owner may end it. */
	if (o->class->tells_flushed)
		o->class->ops->flushed(o, sub);
}

void
subscriber_begin_times(struct subscriber *sub)
{
	sub->is_held = false;
	fifo_del(&sub->quiet);
	if (settings_of(sub)->lifetime_ms > 0)
		fifo_add(&sub->outlet->class->lifetimes, &sub->life);
}

/* From now on heartbeats come from the log. */
static void
begin_reading(struct subscriber *sub)
{
	subscriber_set_state(sub, SUBSCRIBER_OPEN);
	watch_lag(sub);
	if (settings_of(sub)->idle_ms > 0)
		fifo_add(&sub->outlet->class->idles, &sub->quiet);
}

void
subscriber_begin_replay(struct subscriber *sub)
{
	subscriber_set_state(sub, SUBSCRIBER_REPLAYING);
	sub->end_at = 0;
	if (sub->is_held) /* Redis does not answer yet */
		fifo_add(&sub->outlet->class->openings, &sub->quiet);
	subscriber_check(sub);
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
	subscriber_set_state(sub, SUBSCRIBER_ENDING);
	if (has_read_all(sub))
		finish(sub);
	make_ready(sub);
}

void
subscriber_take_place(struct subscriber *sub)
{
	assert(sub->state == SUBSCRIBER_REPLAYING);
	sub->end_at = 0;
}

void
subscriber_go_on(struct subscriber *sub, uint64_t place, uint32_t n_seen, uint32_t n_events)
{
	uint64_t end = sub->end_at;

	assert(sub->state == SUBSCRIBER_REPLAYING);
	sub->outlet->n_waiting--;
	sub->cursor = place;
	sub->n_seen = n_seen;
	sub->n_before = n_seen - n_events;
	begin_reading(sub);
	if (place < end) /* its outlet has ended meanwhile */
		end_at(sub, end, sub->reason);
	else
		make_ready(sub);
}

/* Opens it at a place in the log, behind which n_events stand. */
static void
open_at(struct subscriber *sub, uint64_t at, unsigned n_events, bool is_resumed, const char *cursor)
{
	struct outlet *o = sub->outlet;

	assert(sub->state == SUBSCRIBER_WAITING);
	o->n_waiting--;
	sub->cursor = at;
	sub->n_before = sub->n_seen = o->n_events - n_events;
	subscriber_begin_times(sub);
	begin_reading(sub);
	if (subscriber_put_open(sub, is_resumed, cursor) < 0)
		logger_error("[route %s] out of memory: a stream opens without stream-open",
			     settings_of(sub)->stages.route);
}

void
subscriber_open(struct subscriber *sub, const char *cursor, const struct buf *state)
{
	open_at(sub, log_enter(&sub->outlet->log), 0, false, cursor);
	buf_set_cap(&sub->own, (size_t)sub->own.cap + state->len);
	if (buf_put(&sub->own, state->p, state->len) < 0)
		logger_error("[route %s] out of memory: a subscriber is not sent the newest event",
			     settings_of(sub)->stages.route);
	make_ready(sub);
}

void
subscriber_open_at(struct subscriber *sub, uint64_t at, unsigned n_events, const char *cursor)
{
	open_at(sub, log_enter_at(&sub->outlet->log, at), n_events, true, cursor);
	make_ready(sub);
}

void
subscriber_release(struct subscriber *sub)
{
	sub->is_held = false;
	if (wire_of(sub)->lines(&sub->own, subscriber_take_retry(sub), NULL, 0) < 0)
		logger_error("[route %s] out of memory: a client is not told when to come back",
			     settings_of(sub)->stages.route);
	make_ready(sub);
}

/*
 * A heartbeat for a subscriber that does not read the log yet. One whose client does not read gets
 * none.
 */
int
subscriber_put_heartbeat(struct subscriber *sub, const char *frame, size_t len)
{
	int rc;

	if (!subscriber_is_before_log(sub) || sub->is_held || sub->is_blocked)
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
	if (!subscriber_is_stream(sub) || sub->state == SUBSCRIBER_LAST || sub->is_held ||
	    sub->is_blocked || subscriber_has_bytes(sub))
		return;
	if (buf_puts(&sub->own, subscriber_filler(sub)) == 0)
		make_ready(sub);
}

/* There is no limit here: the queue has limited it in the log already. */
int
subscriber_own_all(struct subscriber *sub)
{
	struct log *lg = &sub->outlet->log;
	size_t before = sub->own.len, len = 0;
	uint64_t at = sub->cursor;
	struct iovec iov;
	int n, rc = 0;

	buf_set_cap(&sub->own, BUF_CAP_MAX);
	for (; at < lg->end && rc == 0; at += len) {
		n = 1;
		len = log_gather(lg, at, lg->end, &iov, &n);
		rc = buf_put(&sub->own, iov.iov_base, len);
	}
	if (rc < 0) {
		buf_truncate(&sub->own, before);
		return rc;
	}
	move_on(sub, at);
	return 0;
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
		/* A slow client misses more than what is held back, and is told so. */
		if (reason != END_SLOW)
			sub->outlet->class->ops->ending(sub->outlet, sub, reason);
		if (sub->state == SUBSCRIBER_OPEN)
			end_at(sub, sub->outlet->log.end, reason);
		else
			/* What was held back made it too slow, or was its last. */
			subscriber_end(sub, reason);
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

void
subscriber_end_with_all(struct subscriber *sub, enum end_reason reason)
{
	if (subscriber_is_open(sub)) {
		subscriber_end(sub, reason);
	} else if (sub->state == SUBSCRIBER_REPLAYING && sub->end_at == 0) {
		sub->end_at = sub->outlet->log.end;
		sub->reason = (unsigned char)reason;
	}
}

/*
 * A frame that the client has in part is sent to its end. The rest of the frame becomes the
 * subscriber's own and is sent before all else. A subscriber that has bytes of its own has not
 * begun to read the log, so it cannot have both.
 */
static void
keep_rest_of_frame(struct subscriber *sub)
{
	struct log *lg = &sub->outlet->log;
	uint64_t end = log_boundary(lg, sub->cursor);

	if (end == sub->cursor)
		return;
	assert(sub->rest.len == 0 && sub->own.len == 0);
	log_take(lg, sub->cursor, end, &sub->rest);
	move_on(sub, end);
}

int
subscriber_give(struct subscriber *sub, const char *frame, size_t len, unsigned n_events)
{
	size_t cap = sub->own.len + len + OWN_SLACK;
	int rc;

	if (sub->own.cap < cap)
		buf_set_cap(&sub->own, cap);
	keep_rest_of_frame(sub);
	if ((rc = buf_put(&sub->own, frame, len)) < 0)
		return rc;
	count(sub, COUNTER_DELIVERIES, n_events);
	if (settings_of(sub)->idle_ms > 0)
		fifo_add(&sub->outlet->class->idles, &sub->quiet);
	make_ready(sub);
	return 0;
}

/* It leaves the log, and costs nothing until its client reads again. */
static void
lapse(struct subscriber *sub)
{
	outlet_lapsed_joined(sub->outlet, sub->cursor);
	log_leave(&sub->outlet->log, sub->cursor);
	subscriber_set_state(sub, SUBSCRIBER_LAPSED);
	watch_lag(sub);
}

void
subscriber_overflow(struct subscriber *sub)
{
	assert(sub->is_lagging);
	count(sub, COUNTER_SLOW, 1);
	keep_rest_of_frame(sub);
	if (has_read_all(sub))
		finish(sub); /* that frame was its last */
	else if (settings_of(sub)->overflow == OVERFLOW_DISCONNECT ||
		 sub->state == SUBSCRIBER_ENDING)
		end_slow(sub);
	else
		lapse(sub);
	subscriber_check(sub);
}

void
subscriber_shed(struct subscriber *sub)
{
	assert(sub->is_blocked);
	count(sub, COUNTER_SLOW, 1);
	if (!subscriber_reads_log(sub)) {
		subscriber_end(sub, END_SLOW);
		return;
	}
	keep_rest_of_frame(sub);
	if (has_read_all(sub))
		finish(sub);
	else
		end_slow(sub);
	subscriber_check(sub);
}

/* It leaves its outlet. */
static void
leave(struct subscriber *sub)
{
	struct outlet *o = sub->outlet;

	if (sub->is_watched)
		watch_tell(sub);
	if (subscriber_reads_log(sub))
		log_leave(&o->log, sub->cursor);
	if (subscriber_is_before_log(sub))
		stop_waiting(sub);
	if (sub->state == SUBSCRIBER_LAPSED)
		outlet_lapsed_left(o);
	sub->is_blocked = false;
	watch_lag(sub);
	list_del(&sub->node);
	list_del(&sub->joined);
	fifo_del(&sub->life);
	fifo_del(&sub->quiet);
	o->n_subs--;
	all_of(sub)->n_subs--;
	count(sub, COUNTER_SUBSCRIBERS, -1);
	sub->outlet = NULL;
	o->class->ops->left(o, sub);
}

void
subscriber_close(struct subscriber *sub)
{
	if (sub->state == SUBSCRIBER_GONE)
		return;
	if (subscriber_is_stream(sub))
		leave(sub);
	else if (sub->holder != NULL)
		subscriber_tell_holder(sub);
	log_piece_consume(&sub->rest, sub->rest.len);
	buf_fini(&sub->own);
	sub->is_blocked = sub->is_held = false;
	subscriber_set_state(sub, SUBSCRIBER_GONE);
	subscriber_check(sub);
}
