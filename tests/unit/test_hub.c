/*
 * test_hub.c - feeds and subscribers, with a Redis and with carriers that are only pretended: see
 * fake_pubsub.h. A turn of the loop takes a millisecond.
 */
#include "fake_pubsub.h"

#include <limits.h>
#include <sys/resource.h>

#include "source/kinds.h"

/* The stage: one hub, one class whose feeds listen to "ch". */

static int
open_ch(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_channel(fd, "ch");
}

static enum verdict
last_at_z(struct feed *fd, struct message *msg)
{
	size_t len;

	(void)fd;
	return message_bytes(msg, &len)[0] == 'z' ? LAST : KEEP;
}

static const struct handler handler = {.name = "test", .open = open_ch, .message = last_at_z};

struct stage {
	uv_loop_t loop;
	struct redis_settings redis;
	struct topology *topology;
	struct feed_settings settings;
	struct hub *hub;
	struct feed_class class;
	struct client clients[4];
};

static char no_name[] = "";

static int
set_stage(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -1;
	uv_loop_init(&s->loop);
	s->settings = (struct feed_settings){.heartbeat_event = no_name,
					     .open_wait_ms = 5,
					     .retry_ms = 3000,
					     .queue = 1000,
					     .announce = true};
	s->redis.prefix = no_name;
	if (topology_new(&s->topology, &s->redis) < 0 ||
	    hub_new(&s->hub, &s->loop, s->topology) < 0)
		return -1;
	*state = s;
	return 0;
}

/* The class takes its periods from the settings when it begins, so each test calls this itself. */
static void
begin(struct stage *s)
{
	feed_class_init(&s->class, s->hub, &handler, &s->settings,
			feed_kind_of(&handler, &s->settings));
}

static void
on_class_closed(struct feed_class *fc)
{
	hub_free(fc->hub);
}

static int
strike_stage(void **state)
{
	struct stage *s = *state;
	size_t i;

	for (i = 0; i < 4; i++) {
		if (s->clients[i].sub.ops != NULL)
			subscriber_close(&s->clients[i].sub);
	}
	feed_class_close(&s->class, END_DRAIN, on_class_closed);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	topology_free(s->topology);
	free(s);
	return 0;
}

/* One turn of the loop, at the end of which all is written. */
static void
turn(struct stage *s)
{
	now_ms++;
	uv_run(&s->loop, UV_RUN_NOWAIT);
}

static struct client *
join(struct stage *s, size_t n)
{
	static const struct template_value no_params[] = {{NULL, NULL}};
	static const char head[] = "Status: 200 OK\r\n\r\n";
	struct client *c = &s->clients[n];
	struct feed *fd;

	c->room = sizeof(c->got);
	subscriber_init(&c->sub, &client_ops);
	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL), 0);
	assert_int_equal(feed_join(fd, &c->sub, head, sizeof(head) - 1, NULL), 0);
	turn(s);
	return c;
}

static void
assert_has(const struct client *c, const char *text)
{
	if (memmem(c->got, c->len, text, strlen(text)) == NULL)
		fail_msg("wanted \"%s\" in \"%.*s\"", text, (int)c->len, c->got);
}

static void
assert_has_not(const struct client *c, const char *text)
{
	if (memmem(c->got, c->len, text, strlen(text)) != NULL)
		fail_msg("wanted no \"%s\" in \"%.*s\"", text, (int)c->len, c->got);
}

static void
the_head_waits_for_redis(void **state)
{
	struct stage *s = *state;
	struct client *c;

	begin(s);
	c = join(s, 0);
	assert_int_equal(c->len, 0);
	confirm("ch");
	turn(s);
	assert_has(c, "Status: 200 OK\r\n\r\nretry: ");
	assert_has(c, "event: stream-open\ndata: {\"resumed\":false,\"from\":null}\n\n");
	publish("ch", "hello");
	turn(s);
	assert_has(c, "\n\ndata: hello\n\n");
}

static void
the_head_waits_no_longer_than_open_wait(void **state)
{
	struct stage *s = *state;
	struct client *c;

	begin(s);
	c = join(s, 0);
	while (c->len == 0)
		turn(s);
	assert_has(c, "retry: ");
	assert_has_not(c, "stream-open");
	confirm("ch");
	turn(s);
	assert_has(c, "stream-open");
	assert_has_not(c, "stream-reset");
}

static void
a_feed_is_shared_and_written_once_a_turn(void **state)
{
	struct stage *s = *state;
	struct client *a, *b;
	unsigned before;

	begin(s);
	a = join(s, 0);
	confirm("ch");
	b = join(s, 1);
	before = a->n_writes;
	publish("ch", "1");
	publish("ch", "2");
	publish("ch", "3");
	assert_int_equal(a->n_writes, before);
	turn(s);
	assert_int_equal(a->n_writes, before + 1);
	assert_has(a, "data: 1\n\ndata: 2\n\ndata: 3\n\n");
	assert_has(b, "data: 1\n\ndata: 2\n\ndata: 3\n\n");
}

static void
a_lost_link_is_told_once_and_only_to_those_who_were_there(void **state)
{
	struct stage *s = *state;
	struct client *a, *b;

	begin(s);
	a = join(s, 0);
	confirm("ch");
	turn(s);
	lose_all();
	lose_all();
	b = join(s, 1);
	assert_has_not(a, "stream-reset");
	confirm("ch");
	publish("ch", "after");
	turn(s);
	assert_has(a, "event: stream-reset\ndata: {\"reason\":\"redis\"}\n\ndata: after\n\n");
	assert_has_not(b, "stream-reset");
	assert_has(b, "stream-open");
	assert_has(b, "data: after\n\n");
}

static void
max_events_ends_for_good_after_that_many(void **state)
{
	struct stage *s = *state;
	struct client *a, *b;

	s->settings.max_events = 2;
	begin(s);
	a = join(s, 0);
	confirm("ch");
	turn(s);
	publish("ch", "1");
	b = join(s, 1);
	publish("ch", "2");
	publish("ch", "3");
	publish("ch", "4");
	turn(s);
	assert_has(a, "data: 1\n\ndata: 2\n\nid: 0.end\nevent: stream-done\n"
		      "data: {\"reason\":\"max_events\"}\n\n");
	assert_has_not(a, "data: 3");
	assert_has(b, "data: 2\n\ndata: 3\n\nid: 0.end\n");
	assert_has_not(b, "data: 4");
	assert_true(a->is_closed && b->is_closed);
}

static void
the_last_message_is_sent_also_in_the_turn_of_joining(void **state)
{
	struct stage *s = *state;
	struct client *a, *b = &s->clients[1];
	static const struct template_value no_params[] = {{NULL, NULL}};
	struct feed *fd;

	begin(s);
	a = join(s, 0);
	confirm("ch");
	b->room = sizeof(b->got);
	subscriber_init(&b->sub, &client_ops);
	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL), 0);
	assert_int_equal(feed_join(fd, &b->sub, "\r\n", 2, NULL), 0);
	publish("ch", "zed");
	turn(s);
	assert_has(a,
		   "data: zed\n\nid: 0.end\nevent: stream-done\ndata: {\"reason\":\"until\"}\n\n");
	assert_has(b, "data: zed\n\nid: 0.end\n");
	assert_true(a->is_closed && b->is_closed);
}

static void
lifetime_and_idle_end(void **state)
{
	struct stage *s = *state;
	struct client *c;

	s->settings.lifetime_ms = 30;
	s->settings.idle_ms = 5;
	begin(s);
	c = join(s, 0);
	confirm("ch");
	while (!c->is_closed)
		turn(s);
	assert_has(c, "event: stream-end\ndata: {\"reason\":\"idle\"}\n\n");
	assert_has_not(c, ".end");
	c->len = 0;
	c->is_closed = false;
	c = join(s, 0);
	while (!c->is_closed) {
		c->len = 0;
		c->room = sizeof(c->got);
		publish("ch", "x");
		turn(s);
	}
	assert_has(c, "{\"reason\":\"lifetime\"}");
}

static void
heartbeats_come_in_silence_also_before_redis_does(void **state)
{
	static char name[] = "keep-alive";
	struct stage *s = *state;
	struct client *c;

	s->settings.heartbeat_ms = 5;
	s->settings.heartbeat_event = name;
	begin(s);
	c = join(s, 0);
	while (memmem(c->got, c->len, "keep-alive", 10) == NULL)
		turn(s);
	assert_has(c, "event: keep-alive\ndata: \n\n");
	confirm("ch");
	turn(s);
	c->len = 0;
	while (c->len == 0)
		turn(s);
	assert_has(c, "event: keep-alive\ndata: \n\n");
}

/* A slow client: its descriptor takes 10 bytes of what follows, then nothing. */
static struct client *
make_slow(struct stage *s, enum overflow overflow)
{
	struct client *c;

	s->settings.overflow = overflow;
	begin(s);
	c = join(s, 0);
	confirm("ch");
	turn(s);
	c->len = 0;
	c->room = 10;
	return c;
}

static void
flood(struct stage *s, int n)
{
	char text[256];
	int i;

	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%03d%0197d", i % 1000, 0);
		publish("ch", text);
		turn(s);
	}
}

static void
drain_client(struct stage *s, struct client *c)
{
	c->room = sizeof(c->got) - c->len;
	subscriber_unblocked(&c->sub);
	turn(s);
}

static void
a_slow_client_is_disconnected(void **state)
{
	struct stage *s = *state;
	struct client *c = make_slow(s, OVERFLOW_DISCONNECT);

	flood(s, 20);
	assert_false(c->is_closed);
	drain_client(s, c);
	assert_has(c, "data: 000");
	assert_has_not(c, "data: 001");
	assert_has(c, "0\n\nevent: stream-end\ndata: {\"reason\":\"slow\"}\n\n");
	assert_true(c->is_closed);
}

static void
a_slow_client_loses_the_oldest(void **state)
{
	struct stage *s = *state;
	struct client *c = make_slow(s, OVERFLOW_DROP_OLDEST);

	flood(s, 20);
	drain_client(s, c);
	assert_has(c, "0\n\nevent: stream-reset\ndata: {\"reason\":\"slow\"}\n\ndata: 01");
	assert_has(c, "data: 019");
	assert_has_not(c, "data: 005");
	assert_false(c->is_closed);
	flood(s, 1);
	assert_true(c->len > 0);
}

static void
a_slow_client_gets_the_latest(void **state)
{
	struct stage *s = *state;
	struct client *c = make_slow(s, OVERFLOW_LATEST);

	flood(s, 20);
	drain_client(s, c);
	assert_has(c, "data: 000");
	assert_has(c, "data: 019");
	assert_has_not(c, "data: 010");
	assert_has(c, "0\n\nevent: stream-reset\ndata: {\"reason\":\"slow\"}\n\ndata: 019");
}

/*
 * Ten thousand whose descriptors take nothing: what a message costs does not grow with them, and
 * none of them is looked at. Processor time, in one run, and the best of several tries.
 */
enum { N_STUCK = 10000, N_FLOOD = 500, TRIES = 5, GROWTH_MAX = 4 };

static unsigned n_stuck_asked;
static bool is_stuck;

static enum send_result
stuck_send(struct subscriber *sub)
{
	struct iovec iov[8];
	int n = 8;
	size_t len;

	n_stuck_asked++;
	while ((len = subscriber_gather(sub, iov, &n, 65536)) > 0) {
		if (is_stuck)
			return SEND_BLOCKED;
		subscriber_sent(sub, len);
		n = 8;
	}
	return SEND_ALL;
}

static void
stuck_abort(struct subscriber *sub)
{
	subscriber_close(sub);
}

static long
processor_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec +
	       used.ru_stime.tv_usec;
}

/* What a flood costs, with one client that takes it all. */
static long
cost_of_flood(struct stage *s, struct client *quick)
{
	long best = LONG_MAX, took;
	int try, i;

	for (try = 0; try < TRIES; try++) {
		took = processor_us();
		for (i = 0; i < N_FLOOD; i++) {
			quick->len = 0;
			quick->room = sizeof(quick->got);
			flood(s, 1);
			assert_has(quick, "data: 000");
		}
		took = processor_us() - took;
		if (took < best)
			best = took;
	}
	return best;
}

static struct subscriber *
join_stuck(struct stage *s)
{
	static const struct template_value no_params[] = {{NULL, NULL}};
	static const struct subscriber_ops ops = {.send = stuck_send, .abort = stuck_abort};
	struct subscriber *subs = calloc(N_STUCK, sizeof(*subs));
	struct feed *fd;
	size_t i;

	assert_non_null(subs);
	is_stuck = false;
	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL), 0);
	for (i = 0; i < N_STUCK; i++) {
		subscriber_init(&subs[i], &ops);
		assert_int_equal(feed_join(fd, &subs[i], "\r\n", 2, NULL), 0);
	}
	turn(s);
	is_stuck = true;
	return subs;
}

static void
check_stuck(struct stage *s, enum overflow overflow)
{
	struct client *quick;
	struct subscriber *subs;
	long alone, beside;
	size_t i;

	s->settings.overflow = overflow;
	begin(s);
	quick = join(s, 0);
	confirm("ch");
	turn(s);
	alone = cost_of_flood(s, quick);
	subs = join_stuck(s);
	flood(s, 20); /* each has more waiting than its queue */
	n_stuck_asked = 0;
	beside = cost_of_flood(s, quick);
	for (i = 0; i < N_STUCK; i++) {
		if (subs[i].ops != NULL)
			subscriber_close(&subs[i]);
	}
	turn(s);
	free(subs);
	assert_int_equal(n_stuck_asked, 0);
	if (beside > GROWTH_MAX * (alone + 1))
		fail_msg("%d messages: alone %ld us, beside %d who are stuck %ld us", N_FLOOD,
			 alone, N_STUCK, beside);
}

static void
the_stuck_cost_nothing_if_they_are_ended(void **state)
{
	check_stuck(*state, OVERFLOW_DISCONNECT);
}

static void
the_stuck_cost_nothing_if_they_lose_the_oldest(void **state)
{
	check_stuck(*state, OVERFLOW_DROP_OLDEST);
}

static void
the_stuck_cost_nothing_if_they_get_the_latest(void **state)
{
	check_stuck(*state, OVERFLOW_LATEST);
}

/* One event may be longer than the queue: it is on its way, and nothing waits behind it. */
static void
a_long_event_is_not_slowness(void **state)
{
	struct stage *s = *state;
	struct client *c = make_slow(s, OVERFLOW_DISCONNECT);
	char text[5001];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	publish("ch", text);
	turn(s);
	publish("ch", "short");
	turn(s);
	drain_client(s, c);
	assert_has(c, "data: short\n\n");
	assert_false(c->is_closed);
}

static void
a_refused_subject_is_waited_for(void **state)
{
	struct stage *s = *state;
	struct client *c, *other;

	begin(s);
	c = join(s, 0);
	fake_redis.ops->on_refused(fake_redis.ctx, subject_named("ch"), "NOPERM");
	other = join(s, 1);
	turn(s);
	assert_false(c->is_closed || other->is_closed);
	assert_has_not(c, "403");
	confirm("ch");
	turn(s);
	assert_has(c, "stream-open");
	assert_has(other, "stream-open");
}

static void
a_drain_ends_all(void **state)
{
	struct stage *s = *state;
	struct client *a, *b;

	begin(s);
	a = join(s, 0);
	confirm("ch");
	turn(s);
	lose_all();
	b = join(s, 1); /* one that waits is ended too */
	assert_int_equal(hub_return_ms(s->hub, 3000), 3000);
	hub_drain(s->hub, 20, false);
	while (hub_n_subscribers(s->hub) > 0)
		turn(s);
	assert_has(a, "{\"reason\":\"drain\"}");
	assert_has(b, "Status: 200 OK");
	assert_has(b, "{\"reason\":\"drain\"}");
}

/* Who is sent away comes back when this program has gone, and not all at the same time. */
static void
a_drain_says_when_to_return(void **state)
{
	struct stage *s = *state;
	unsigned ms, least = UINT_MAX, most = 0, i;

	begin(s);
	hub_drain(s->hub, 10000, false);
	for (i = 0; i < 1000; i++) {
		ms = hub_return_ms(s->hub, 3000);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_true(least > 10000 && most <= 20000);
	assert_true(most - least > 8000);
	hub_drain(s->hub, 10000, true); /* another serves already */
	assert_int_equal(hub_return_ms(s->hub, 3000), 3000);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_stage, strike_stage)
	const struct CMUnitTest tests[] = {
	    TEST(the_head_waits_for_redis),
	    TEST(the_head_waits_no_longer_than_open_wait),
	    TEST(a_feed_is_shared_and_written_once_a_turn),
	    TEST(a_lost_link_is_told_once_and_only_to_those_who_were_there),
	    TEST(max_events_ends_for_good_after_that_many),
	    TEST(the_last_message_is_sent_also_in_the_turn_of_joining),
	    TEST(lifetime_and_idle_end),
	    TEST(heartbeats_come_in_silence_also_before_redis_does),
	    TEST(a_slow_client_is_disconnected),
	    TEST(a_slow_client_loses_the_oldest),
	    TEST(a_slow_client_gets_the_latest),
	    TEST(the_stuck_cost_nothing_if_they_are_ended),
	    TEST(the_stuck_cost_nothing_if_they_lose_the_oldest),
	    TEST(the_stuck_cost_nothing_if_they_get_the_latest),
	    TEST(a_long_event_is_not_slowness),
	    TEST(a_refused_subject_is_waited_for),
	    TEST(a_drain_ends_all),
	    TEST(a_drain_says_when_to_return),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
