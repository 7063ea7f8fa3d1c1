/*
 * test_subscriber.c - a subscriber's states: every call in every state, in every order, for each
 * policy of overflow. What it must be in each state the program asserts by itself; what its client
 * was sent is looked at here, by a reader of its own.
 */
#include "fake_pubsub.h"

#include "source/kinds.h"

#include "hub/feed_life.h"
#include "hub/feed_within.h"
#include "hub/silence.h"

/* A frame is small, or longer than the queue. */
enum { QUEUE = 1000, SMALL = 200, LONG = 3000, DEPTH = 4, N_RANDOM = 20000, LENGTH = 14 };

static char no_name[] = "";

static int
open_ch(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_channel(fd, "ch");
}

static const struct handler handler = {.name = "test", .open = open_ch};

struct stage {
	uv_loop_t loop;
	struct redis_settings redis;
	struct topology *topology;
	struct feed_settings settings;
	struct hub *hub;
	struct feed_class class;
	struct client c;
	/* What the client is owed, in order, and what is told in between. */
	unsigned n, owed[LENGTH];
	size_t n_owed;
	bool is_gone;
	struct backlog backlog; /* what came before it, which is nothing */
	struct feed *placed;    /* where a place is held for the client; NULL: nowhere */
	uint64_t place;
	uint32_t n_at_place;
};

/* The calls. Where one may not be made in a state, whoever makes it knows: nothing happens. */

static void
join(struct stage *s)
{
	static const struct template_value no_params[] = {{NULL, NULL}};
	struct feed *fd;

	if (s->c.sub.state != SUBSCRIBER_NEW)
		return;
	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL), 0);
	assert_int_equal(feed_join(fd, &s->c.sub, "\r\n", 2, NULL), 0);
}

static void
redis_confirms(struct stage *s)
{
	(void)s;
	if (subject_named("ch") != NULL)
		confirm("ch");
}

static void
redis_is_lost(struct stage *s)
{
	(void)s;
	lose_all();
}

static void
publish_one(struct stage *s, size_t len)
{
	char text[LONG + 1];
	enum subscriber_state state = s->c.sub.state;

	snprintf(text, sizeof(text), "%u.%0*d", s->n, (int)len - 4, 0);
	if (state == SUBSCRIBER_OPEN || state == SUBSCRIBER_LAPSED || state == SUBSCRIBER_REPLAYING)
		s->owed[s->n_owed++] = s->n;
	s->n++;
	if (subject_named("ch") != NULL)
		publish("ch", text);
}

static void
publish_small(struct stage *s)
{
	publish_one(s, SMALL);
}

static void
publish_long(struct stage *s)
{
	publish_one(s, LONG);
}

static void
turn(struct stage *s)
{
	uv_run(&s->loop, UV_RUN_NOWAIT);
}

/* Seven bytes more, which is the middle of a frame. */
static void
client_lags(struct stage *s)
{
	s->c.room = 7;
	turn(s);
}

static void
client_reads(struct stage *s)
{
	s->c.room = sizeof(s->c.got) - s->c.len - 1;
	if (s->c.sub.is_blocked)
		subscriber_unblocked(&s->c.sub);
	turn(s);
}

static void
client_reads_a_little(struct stage *s)
{
	s->c.room = 150;
	if (s->c.sub.is_blocked)
		subscriber_unblocked(&s->c.sub);
	turn(s);
}

static void
client_goes(struct stage *s)
{
	if (!s->c.is_closed)
		client_abort(&s->c.sub);
	s->is_gone = true;
}

static void
it_is_ended(struct stage *s)
{
	if (s->c.sub.state == SUBSCRIBER_REPLAYING)
		s->n_owed = 0; /* it has not been told that it is open, and comes back as it came */
	subscriber_end(&s->c.sub, END_LIFETIME);
}

static struct stage *
stage_of(struct backlog *backlog)
{
	return LIST_ENTRY(backlog, struct stage, backlog);
}

static void
on_begin(struct backlog *backlog)
{
	struct stage *s = stage_of(backlog);

	s->placed = feed_of_stream(&s->c.sub);
	s->place = log_enter(&s->placed->out.log);
	s->n_at_place = s->placed->out.n_events;
	subscriber_begin_replay(&s->c.sub);
}

static void
on_taken(struct backlog *backlog)
{
	assert_int_equal(stage_of(backlog)->c.sub.state, SUBSCRIBER_REPLAYING);
}

/* As soon as it is wanted no more, whatever was the reason, and once. */
static void
on_cancel(struct backlog *backlog)
{
	struct stage *s = stage_of(backlog);

	assert_ptr_equal(s->c.sub.backlog, backlog);
	s->c.sub.backlog = NULL;
	if (s->placed != NULL)
		log_leave(&s->placed->out.log, s->place);
	s->placed = NULL;
}

static const struct backlog_ops backlog_ops = {
    .begin = on_begin, .taken = on_taken, .cancel = on_cancel};

/* It is to be sent what came before, once Redis confirms. */
static void
its_past_is_wanted(struct stage *s)
{
	if (s->c.sub.state != SUBSCRIBER_WAITING)
		return;
	s->backlog.ops = &backlog_ops;
	s->c.sub.backlog = &s->backlog;
}

static void
its_past_is_there(struct stage *s)
{
	if (s->c.sub.state != SUBSCRIBER_REPLAYING)
		return;
	s->placed = NULL;
	s->c.sub.backlog = NULL;
	subscriber_begin_times(&s->c.sub);
	subscriber_go_on(&s->c.sub, s->place, s->n_at_place, 0);
}

static void
silence(struct stage *s)
{
	struct list *node = s->class.feeds.next;

	if (node != &s->class.feeds)
		feed_beat(LIST_ENTRY(node, struct feed, of_class));
}

/* Who has ended, and does not read it, is given up at last; nothing else ends by this. */
static void
time_passes(struct stage *s)
{
	bool was_blocked, was_closed;

	turn(s); /* what can be written is */
	was_blocked = s->c.sub.is_blocked;
	was_closed = s->c.is_closed;
	now_ms += 11000;
	turn(s);
	s->is_gone |= was_blocked && !was_closed && s->c.is_closed;
}

static void
memory_is_short(struct stage *s)
{
	if (s->c.sub.is_blocked && subscriber_is_stream(&s->c.sub) &&
	    s->c.sub.state != SUBSCRIBER_LAST)
		subscriber_shed(&s->c.sub);
}

static const struct {
	const char *name;
	void (*fn)(struct stage *s);
} calls[] = {
    {"join", join},
    {"confirm", redis_confirms},
    {"lost", redis_is_lost},
    {"small", publish_small},
    {"long", publish_long},
    {"lag", client_lags},
    {"read", client_reads},
    {"read a little", client_reads_a_little},
    {"go", client_goes},
    {"end", it_is_ended},
    {"past wanted", its_past_is_wanted},
    {"past there", its_past_is_there},
    {"heartbeat", silence},
    {"time passes", time_passes},
    {"memory is short", memory_is_short},
};

enum { N_CALLS = sizeof(calls) / sizeof(calls[0]) };

/* What the client was sent, frame by frame. */

struct seen {
	size_t next; /* of what it is owed */
	bool is_reset, has_ended, is_slow;
};

static const char *
see_frame(struct seen *seen, const struct stage *s, const char *p, const char *end)
{
	const char *next = memmem(p, (size_t)(end - p), "\n\n", 2);
	unsigned n;

	if (end - p >= 2 && memcmp(p, ":\n", 2) == 0)
		return p + 2; /* a heartbeat */
	if (next == NULL || seen->has_ended)
		return NULL;
	if (sscanf(p, "data: %u.", &n) != 1) {
		seen->is_reset |= memmem(p, (size_t)(next - p), "stream-reset", 12) != NULL;
		seen->has_ended |= memmem(p, (size_t)(next - p), "stream-end", 10) != NULL;
		seen->is_slow |= memmem(p, (size_t)(next - p), "\"slow\"", 6) != NULL;
		return next + 2;
	}
	while (seen->next < s->n_owed && s->owed[seen->next] != n) {
		if (!seen->is_reset)
			return NULL; /* one is missing, and nobody said so */
		seen->next++;
	}
	seen->is_reset = false;
	return seen->next++ < s->n_owed ? next + 2 : NULL;
}

/* Whole frames in the right order, the newest among them, or the reason why not. */
static bool
is_right(struct stage *s)
{
	const char *p = s->c.got, *end = p + s->c.len;
	struct seen seen = {.next = 0};

	if (s->c.len >= 2)
		p += 2; /* the head */
	while (p != NULL && p < end)
		p = see_frame(&seen, s, p, end);
	if (p == NULL)
		return s->is_gone; /* in the middle of a frame, as clients go */
	if (s->c.is_closed && !s->is_gone && !seen.has_ended)
		return false;
	return s->is_gone || (seen.has_ended && seen.is_slow) || seen.next == s->n_owed;
}

static void
run(struct stage *s, const unsigned *sequence, size_t n)
{
	char text[512] = "";
	size_t i;

	memset(&s->c, 0, offsetof(struct client, got));
	s->c.len = 0;
	s->c.room = sizeof(s->c.got) - 1;
	s->c.is_closed = s->is_gone = false;
	s->n = 1;
	s->n_owed = 0;
	subscriber_init(&s->c.sub, &client_ops);
	lose_all();
	for (i = 0; i < n; i++)
		calls[sequence[i]].fn(s);
	if (!s->c.is_closed && subscriber_is_stream(&s->c.sub)) {
		redis_confirms(s);
		its_past_is_there(s);
		client_reads(s);
	}
	if (!is_right(s)) {
		for (i = 0; i < n; i++)
			strcat(strcat(text, calls[sequence[i]].name), ", ");
		fail_msg("%s: %.*s", text, (int)s->c.len, s->c.got);
	}
	subscriber_close(&s->c.sub);
	assert_null(s->placed);
}

static void
all_orders(struct stage *s)
{
	unsigned sequence[DEPTH + 2] = {0, 1}; /* it joins, and Redis confirms */
	size_t i, skip;

	for (skip = 0; skip < 3; skip++) { /* or nothing of that */
		memset(sequence + 2, 0, DEPTH * sizeof(*sequence));
		for (i = 2; i < DEPTH + 2;) {
			run(s, sequence + skip, DEPTH + 2 - skip);
			for (i = 2; i < DEPTH + 2 && ++sequence[i] == N_CALLS; i++)
				sequence[i] = 0;
		}
	}
}

static void
random_orders(struct stage *s)
{
	unsigned sequence[LENGTH] = {0}, seed = 5;
	size_t i, k;

	for (i = 0; i < N_RANDOM; i++) {
		for (k = 1; k < LENGTH; k++) {
			sequence[k] = (unsigned)rand_r(&seed) % N_CALLS;
			/* It seldom goes, or is ended: the longer it lives, the more it meets. */
			if (calls[sequence[k]].fn == client_goes ||
			    calls[sequence[k]].fn == it_is_ended)
				sequence[k] = (unsigned)rand_r(&seed) % N_CALLS;
		}
		run(s, sequence, LENGTH);
	}
}

static void
on_class_closed(struct feed_class *fc)
{
	hub_free(fc->hub);
}

static struct stage *
stage_new(enum overflow overflow)
{
	struct stage *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	uv_loop_init(&s->loop);
	s->settings = (struct feed_settings){.heartbeat_event = no_name,
					     .open_wait_ms = 5,
					     .queue = QUEUE,
					     .overflow = overflow,
					     .announce = true};
	s->redis.prefix = no_name;
	assert_int_equal(topology_new(&s->topology, &s->redis), 0);
	assert_int_equal(hub_new(&s->hub, &s->loop, s->topology), 0);
	feed_class_init(&s->class, s->hub, &handler, &s->settings,
			feed_kind_of(&handler, &s->settings));
	return s;
}

static void
stage_free(struct stage *s)
{
	feed_class_close(&s->class, END_DRAIN, on_class_closed);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	topology_free(s->topology);
	free(s);
}

static void
try(enum overflow overflow)
{
	struct stage *s = stage_new(overflow);

	all_orders(s);
	random_orders(s);
	stage_free(s);
}

static void
who_is_slow_is_disconnected(void **state)
{
	(void)state;
	try(OVERFLOW_DISCONNECT);
}

static void
who_is_slow_loses_the_oldest(void **state)
{
	(void)state;
	try(OVERFLOW_DROP_OLDEST);
}

static void
who_is_slow_gets_the_latest(void **state)
{
	(void)state;
	try(OVERFLOW_LATEST);
}

/* A client that is there, and has read what there was. */
static void
begin(struct stage *s)
{
	subscriber_init(&s->c.sub, &client_ops);
	s->c.room = sizeof(s->c.got) - 1;
	s->n = 1;
	join(s);
	redis_confirms(s);
	assert_int_equal(s->c.sub.state, SUBSCRIBER_OPEN);
	turn(s);
}

/* A descriptor may take some bytes before it says that it does. */
static void
who_reads_while_it_is_blocked_has_less_waiting(void **state)
{
	struct stage *s = stage_new(OVERFLOW_DISCONNECT);

	(void)state;
	begin(s);
	for (int i = 0; i < 4; i++)
		publish_small(s);
	client_lags(s);
	s->c.room = 3 * SMALL;
	assert_int_equal(client_send(&s->c.sub), SEND_BLOCKED);
	publish_small(s);
	publish_small(s);
	assert_int_equal(s->c.sub.state, SUBSCRIBER_OPEN);
	client_reads(s);
	assert_true(is_right(s));
	subscriber_close(&s->c.sub);
	stage_free(s);
}

static struct stage *flushed; /* whose client is given one event more, and ended */

static void
on_flushed(struct outlet *o, struct subscriber *sub)
{
	(void)o;
	publish_small(flushed);
	subscriber_end(sub, END_LIFETIME);
}

static void
who_has_read_all_may_be_ended_at_once(void **state)
{
	struct outlet_ops ops = feed_outlet_ops;
	struct stage *s = flushed = stage_new(OVERFLOW_DISCONNECT);

	(void)state;
	ops.flushed = on_flushed;
	s->class.out.ops = &ops;
	s->class.out.tells_flushed = true;
	begin(s);
	turn(s);
	assert_true(s->c.is_closed);
	assert_true(is_right(s));
	assert_int_equal(s->n_owed, 1);
	stage_free(s);
}

/*
 * A record of which a part was lost is filled up, behind the last that waits; if the last of the
 * filler was sent in part, its line ends before stream-end, which is younger.
 */
static void
a_line_of_filler_ends_before_the_end(void **state)
{
	struct stage *s = stage_new(OVERFLOW_LATEST);
	struct subscriber *sub = &s->c.sub;
	struct iovec iov;
	int n = 1;

	(void)state;
	begin(s);
	publish_small(s);
	subscriber_end(sub, END_LIFETIME);
	assert_int_equal(sub->state, SUBSCRIBER_ENDING);
	subscriber_sent(sub, subscriber_n_unsent(sub));
	assert_int_equal(sub->state, SUBSCRIBER_LAST);
	assert_int_equal(subscriber_end_filler(sub), 0);
	assert_int_equal(subscriber_gather(sub, &iov, &n, SIZE_MAX), sub->own.len);
	assert_memory_equal(iov.iov_base, "\nevent: stream-end\n", 19);
	subscriber_close(sub);
	stage_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_is_slow_is_disconnected),
	    cmocka_unit_test(who_is_slow_loses_the_oldest),
	    cmocka_unit_test(who_is_slow_gets_the_latest),
	    cmocka_unit_test(who_reads_while_it_is_blocked_has_less_waiting),
	    cmocka_unit_test(who_has_read_all_may_be_ended_at_once),
	    cmocka_unit_test(a_line_of_filler_ends_before_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
