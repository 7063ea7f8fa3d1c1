#include "hub/private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "sse/event.h"

/* What a short answer may hold, and what a stream's own frames may add to its queue. */
enum { ANSWER_MAX = 1024 * 1024 + 4096, OWN_SLACK = 4096 };

static const char *const reason_names[] = {
    [END_UNTIL] = "until",       [END_MAX_EVENTS] = "max_events",
    [END_LIFETIME] = "lifetime", [END_IDLE] = "idle",
    [END_SLOW] = "slow",         [END_RELOAD] = "reload",
    [END_DRAIN] = "drain",       [END_AUTH] = "auth",
};

/* One step of a life, in the only order there is; from any state a client may be gone. */
static void
set_state(struct subscriber *sub, enum subscriber_state state)
{
	assert(state > sub->state);
	sub->state = (unsigned char)state;
}

static bool
reads_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_OPEN || sub->state == SUBSCRIBER_ENDING;
}

static const struct feed_settings *
settings_of(const struct subscriber *sub)
{
	return sub->feed->class->settings;
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
		list_move_tail(&hub_of(sub)->ready, &sub->node);
}

static bool
has_place(const struct subscriber *sub)
{
	return reads_log(sub) || sub->state == SUBSCRIBER_REPLAYING;
}

/* No bytes of the feed's follow: its own are the last. */
static void
stop_reading(struct subscriber *sub)
{
	if (has_place(sub))
		log_leave(&sub->feed->log, sub->cursor);
	if (sub->state == SUBSCRIBER_WAITING)
		sub->feed->n_waiting--;
	if (sub->state == SUBSCRIBER_WAITING || sub->state == SUBSCRIBER_REPLAYING)
		replay_cancel(sub->feed, sub);
	set_state(sub, SUBSCRIBER_LAST);
}

/* Ended: no new events concern it, and it has some seconds to read the rest. */
static void
begin_ending(struct subscriber *sub)
{
	list_del(&sub->joined);
	fifo_del(&sub->quiet);
	fifo_add(&hub_of(sub)->endings, &sub->life);
}

/*
 * The last frame. Ended for good, it carries an id that ends in ".end", with
 * which the client's next request is answered 204; without it the client comes back.
 */
static int
put_end(struct subscriber *sub)
{
	const char *name = reason_names[sub->reason];
	bool for_good = sub->reason == END_UNTIL || sub->reason == END_MAX_EVENTS;
	char data[64];
	struct event ev = {.type = "stream-end", .type_len = strlen("stream-end"), .data = data};

	if (for_good) {
		ev.id = "0.end";
		ev.id_len = strlen(ev.id);
	}
	if (!settings_of(sub)->announce)
		return for_good ? event_append_id(&sub->own, ev.id, ev.id_len) : 0;
	ev.data_len = (size_t)snprintf(data, sizeof(data), "{\"reason\":\"%s\"}", name);
	return event_append(&sub->own, &ev, NULL);
}

/* The log is read up to the end: all that remains are bytes of its own. */
static void
finish(struct subscriber *sub)
{
	stop_reading(sub);
	if (put_end(sub) < 0)
		logger_error("out of memory: a stream ends without saying why");
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
	sub->end_at = UINT64_MAX;
}

int
subscriber_answer(struct subscriber *sub, const char *head, size_t head_len, const char *body,
		  size_t body_len)
{
	int rc;

	set_state(sub, SUBSCRIBER_LAST);
	if ((rc = buf_reserve(&sub->own, head_len + body_len)) < 0 ||
	    (rc = buf_put(&sub->own, head, head_len)) < 0)
		return rc;
	return buf_put(&sub->own, body, body_len);
}

size_t
subscriber_gather(struct subscriber *sub, struct iovec *iov, int *n_iov, size_t max)
{
	int n = 0, n_log;
	size_t total = 0;
	uint64_t to;

	if (sub->is_held || *n_iov == 0) {
		*n_iov = 0;
		return 0;
	}
	if (sub->state == SUBSCRIBER_ENDING && sub->cursor == sub->end_at)
		finish(sub);
	if (sub->own.len > 0) {
		iov[n].iov_base = sub->own.p;
		iov[n].iov_len = sub->own.len < max ? sub->own.len : max;
		total = iov[n++].iov_len;
	}
	if (reads_log(sub)) {
		to = sub->feed->log.end < sub->end_at ? sub->feed->log.end : sub->end_at;
		if (to - sub->cursor > max - total)
			to = sub->cursor + (max - total);
		n_log = *n_iov - n;
		total += log_gather(&sub->feed->log, sub->cursor, to, iov + n, &n_log);
		n += n_log;
	}
	*n_iov = n;
	return total;
}

void
subscriber_sent(struct subscriber *sub, size_t len)
{
	size_t own = len < sub->own.len ? len : sub->own.len;

	counters_add(COUNTER_BYTES, (int64_t)len);
	buf_consume(&sub->own, own);
	len -= own;
	if (len > 0) {
		log_move(&sub->feed->log, sub->cursor, sub->cursor + len);
		sub->cursor += len;
	}
}

bool
subscriber_has_bytes(struct subscriber *sub)
{
	struct iovec iov;
	int n = 1;

	return subscriber_gather(sub, &iov, &n, 1) > 0;
}

bool
subscriber_is_finished(struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_LAST && sub->own.len == 0;
}

void
subscriber_unblocked(struct subscriber *sub)
{
	sub->is_blocked = false;
	if (sub->feed != NULL)
		make_ready(sub);
	else
		sub->ops->send(sub);
}

/* What was told to the hub of one subscriber that it had written. */
void
subscriber_flushed(struct subscriber *sub, enum send_result result)
{
	struct feed *fd = sub->feed;

	if (result == SEND_BLOCKED) {
		sub->is_blocked = true;
		list_move_tail(&fd->blocked, &sub->node);
		return;
	}
	if (sub->state != SUBSCRIBER_OPEN)
		return;
	list_move_tail(&fd->caught_up, &sub->node);
	if (queue_is(fd))
		queue_flushed(fd, sub);
	sub->is_told_slow = false;
	if (sub->n_seen != fd->n_events) {
		counters_add(COUNTER_DELIVERIES, fd->n_events - sub->n_seen);
		sub->n_seen = fd->n_events;
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

/* The first frames: where the client stands, for its next Last-Event-ID, and that it is open. */
int
subscriber_put_open(struct subscriber *sub, bool is_resumed, const char *cursor)
{
	char data[64 + STREAM_CURSOR_TEXT];
	struct event ev = {.type = "stream-open", .type_len = strlen("stream-open"), .data = data};
	int rc;

	if (cursor != NULL && (rc = event_append_id(&sub->own, cursor, strlen(cursor))) < 0)
		return rc;
	if (!settings_of(sub)->announce)
		return 0;
	ev.data_len =
	    (size_t)snprintf(data, sizeof(data), "{\"resumed\":%s,\"from\":%s%s%s}",
			     is_resumed ? "true" : "false", cursor != NULL ? "\"" : "",
			     cursor != NULL ? cursor : "null", cursor != NULL ? "\"" : "");
	return event_append(&sub->own, &ev, NULL);
}

static void
enter_log(struct subscriber *sub)
{
	struct feed *fd = sub->feed;

	fd->n_waiting--;
	sub->cursor = log_enter(&fd->log);
	sub->n_before = sub->n_seen = fd->n_events;
}

static void
begin_times(struct subscriber *sub)
{
	struct feed *fd = sub->feed;

	sub->is_held = false;
	fifo_del(&sub->quiet);
	if (settings_of(sub)->lifetime_ms > 0)
		fifo_add(&fd->class->lifetimes, &sub->life);
	if (settings_of(sub)->idle_ms > 0)
		fifo_add(&fd->class->idles, &sub->quiet);
}

void
subscriber_hold_place(struct subscriber *sub)
{
	assert(sub->state == SUBSCRIBER_WAITING);
	enter_log(sub);
	set_state(sub, SUBSCRIBER_REPLAYING);
}

void
subscriber_go_on(struct subscriber *sub, unsigned n_events)
{
	assert(sub->state == SUBSCRIBER_REPLAYING);
	set_state(sub, SUBSCRIBER_OPEN);
	sub->n_before -= n_events;
	begin_times(sub);
	make_ready(sub);
}

void
subscriber_open(struct subscriber *sub)
{
	struct feed *fd = sub->feed;
	char cursor[STREAM_CURSOR_TEXT] = "";
	bool can_resume = fd->more != NULL && fd->more->n_streams > 0;

	assert(sub->state == SUBSCRIBER_WAITING);
	if (replay_begin(sub))
		return;
	enter_log(sub);
	set_state(sub, SUBSCRIBER_OPEN);
	begin_times(sub);
	if (can_resume)
		stream_cursor_print(cursor, fd->more->cursor, fd->more->n_streams);
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
	sub->cursor = log_enter_at(&fd->log, at);
	sub->n_before = sub->n_seen = fd->n_events - n_events;
	set_state(sub, SUBSCRIBER_OPEN);
	begin_times(sub);
	if (subscriber_put_open(sub, true, cursor) < 0)
		logger_error("out of memory: a stream opens without stream-open");
	make_ready(sub);
}

void
subscriber_release(struct subscriber *sub)
{
	sub->is_held = false;
	make_ready(sub);
}

void
subscriber_refuse(struct subscriber *sub)
{
	static const char answer[] =
	    "Status: 403 Forbidden\r\n"
	    "Content-Type: application/problem+json\r\n"
	    "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "\r\n"
	    "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,"
	    "\"detail\":\"This server may not subscribe to what the route names.\"}";

	if (!sub->is_held) { /* its head said 200 already */
		subscriber_end(sub, END_AUTH);
		return;
	}
	sub->is_held = false;
	begin_ending(sub);
	stop_reading(sub);
	buf_truncate(&sub->own, 0);
	if (buf_put(&sub->own, answer, sizeof(answer) - 1) < 0)
		logger_error("out of memory: a refusal is not told");
	make_ready(sub);
}

/* A heartbeat for one that does not read the log yet; a client that does not read gets none. */
int
subscriber_put_heartbeat(struct subscriber *sub, const char *frame, size_t len)
{
	int rc;

	if (sub->state != SUBSCRIBER_WAITING || sub->is_held || sub->is_blocked)
		return 0;
	if ((rc = buf_put(&sub->own, frame, len)) == 0)
		make_ready(sub);
	return rc;
}

void
subscriber_end_at(struct subscriber *sub, uint64_t at, enum end_reason reason)
{
	assert(sub->state == SUBSCRIBER_OPEN && at >= sub->cursor);
	sub->reason = (unsigned char)reason;
	sub->end_at = at;
	begin_ending(sub);
	set_state(sub, SUBSCRIBER_ENDING);
	make_ready(sub);
}

void
subscriber_end(struct subscriber *sub, enum end_reason reason)
{
	switch (sub->state) {
	case SUBSCRIBER_OPEN:
		subscriber_end_at(sub, sub->feed->log.end, reason);
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
 * Keep the rest of a frame that the client has in part: its bytes leave the log
 * and become the subscriber's own. Returns 0, -EMSGSIZE if it is more than the
 * queue allows, -ENOMEM.
 */
static int
keep_rest_of_frame(struct subscriber *sub)
{
	struct log *lg = &sub->feed->log;
	uint64_t end = log_boundary(lg, sub->cursor);
	struct iovec iov;
	int n = 1, rc;

	if (end == sub->cursor)
		return 0;
	log_gather(lg, sub->cursor, end, &iov, &n); /* one piece: a frame spans no chunks */
	if ((rc = buf_put(&sub->own, iov.iov_base, iov.iov_len)) < 0)
		return rc;
	log_move(lg, sub->cursor, end);
	sub->cursor = end;
	return 0;
}

int
subscriber_give(struct subscriber *sub, const char *frame, size_t len, unsigned n_events)
{
	int rc;

	if (sub->own.cap < sub->own.len + len + OWN_SLACK)
		sub->own.cap = sub->own.len + len + OWN_SLACK;
	if ((rc = keep_rest_of_frame(sub)) < 0 || (rc = buf_put(&sub->own, frame, len)) < 0)
		return rc;
	counters_add(COUNTER_DELIVERIES, n_events);
	if (settings_of(sub)->idle_ms > 0)
		fifo_add(&sub->feed->class->idles, &sub->quiet);
	make_ready(sub);
	return 0;
}

static int
put_slow_reset(struct subscriber *sub)
{
	static const char data[] = "{\"reason\":\"slow\"}";
	struct event ev = {.type = "stream-reset",
			   .type_len = strlen("stream-reset"),
			   .data = data,
			   .data_len = sizeof(data) - 1};

	if (!settings_of(sub)->announce || sub->is_told_slow)
		return 0;
	sub->is_told_slow = true; /* once for each time that it falls behind */
	return event_append(&sub->own, &ev, NULL);
}

/* Go on at a later frame; what lies between is not sent. */
static void
jump(struct subscriber *sub, uint64_t to)
{
	if (to <= sub->cursor)
		return;
	log_move(&sub->feed->log, sub->cursor, to);
	sub->cursor = to;
}

static int
drop_oldest(struct subscriber *sub)
{
	const struct log *lg = &sub->feed->log;
	uint64_t keep = settings_of(sub)->queue, from = sub->cursor;
	int rc;

	if (lg->end - from > keep)
		from = log_boundary(lg, lg->end - keep);
	if ((rc = put_slow_reset(sub)) == 0)
		jump(sub, from);
	return rc;
}

static void
end_slow(struct subscriber *sub)
{
	if (sub->state == SUBSCRIBER_OPEN) {
		sub->reason = END_SLOW;
		begin_ending(sub);
	}
	finish(sub);
}

void
subscriber_overflow(struct subscriber *sub)
{
	struct feed *fd = sub->feed;
	uint64_t next = log_boundary(&fd->log, sub->cursor + 1);

	/* One frame may always be on its way, however long it is. */
	if (!reads_log(sub) || fd->log.end - next <= settings_of(sub)->queue)
		return;
	counters_add(COUNTER_SLOW, 1);
	if (keep_rest_of_frame(sub) < 0) {
		sub->ops->abort(sub);
		return;
	}
	if (settings_of(sub)->overflow == OVERFLOW_DISCONNECT || sub->state == SUBSCRIBER_ENDING)
		end_slow(sub);
	else if (settings_of(sub)->overflow == OVERFLOW_LATEST)
		jump(sub, fd->newest);
	else if (drop_oldest(sub) < 0)
		sub->ops->abort(sub);
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
		if (sub->state == SUBSCRIBER_WAITING || sub->state == SUBSCRIBER_REPLAYING)
			replay_cancel(fd, sub);
		if (has_place(sub))
			log_leave(&fd->log, sub->cursor);
		if (sub->state == SUBSCRIBER_WAITING)
			fd->n_waiting--;
		list_del(&sub->node);
		list_del(&sub->joined);
		fifo_del(&sub->life);
		fifo_del(&sub->quiet);
		sub->feed = NULL;
		feed_left(fd);
	}
	buf_fini(&sub->own);
	sub->state = SUBSCRIBER_GONE;
}

int
feed_join(struct feed *fd, struct subscriber *sub, const char *head, size_t head_len,
	  const char *last_event_id)
{
	const struct feed_settings *fs = fd->class->settings;
	unsigned spread = fs->retry_ms / 5; /* +-20 %: a restart must not bring all back at once */
	int rc;

	assert(sub->state == SUBSCRIBER_NEW);
	if (fd->is_refused)
		return HTTP_FORBIDDEN;
	buf_init(&sub->own, fs->queue + head_len + OWN_SLACK);
	if ((rc = replay_plan(fd, sub, last_event_id)) < 0 ||
	    (rc = buf_put(&sub->own, head, head_len)) < 0 ||
	    (rc = event_append_retry(&sub->own,
				     fs->retry_ms - spread + hub_random(2 * spread + 1))) < 0) {
		buf_truncate(&sub->own, 0); /* it gets another answer */
		replay_cancel(fd, sub);
		return rc;
	}
	sub->feed = fd;
	if (fd->n_subs == 0 && fd->more != NULL)
		pace_clear(&fd->more->pace); /* what was held for those who have left */
	fd->n_subs++;
	fd->n_waiting++;
	fd->class->hub->n_subs++;
	counters_add(COUNTER_SUBSCRIBERS, 1);
	fifo_del(&fd->linger);
	list_add_tail(&fd->joined, &sub->joined);
	set_state(sub, SUBSCRIBER_WAITING);
	sub->is_held = true;
	if (fd->n_unconfirmed == 0)
		subscriber_open(sub);
	else
		fifo_add(&fd->class->openings, &sub->quiet);
	return 0;
}
