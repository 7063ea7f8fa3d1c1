/*
 * test_source_live.c - channels, streams and keys as sources of a feed, beside pretended
 * neighbours: what they hand on, what they ask for, and when nobody is let in yet.
 */
#include "fake_sources.h"

static int
open_channel(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_channel(fd, "c");
}

static int
open_streams(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_stream(fd, "s") != 0 || feed_stream(fd, "t") != 0 || feed_stream(fd, "s") != 0;
}

static int
open_both(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_channel(fd, "c") != 0 || feed_stream(fd, "s") != 0;
}

static int
open_keys(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_keyspace(fd, "k*");
}

static const struct handler of_channel = {.name = "c", .open = open_channel},
			    of_streams = {.name = "s", .open = open_streams},
			    of_both = {.name = "b", .open = open_both},
			    of_keys = {.name = "k", .open = open_keys};

#define OPEN(cursor) "stream-open {\"resumed\":false,\"from\":" cursor "}|"

static void
a_channel_opens_when_it_is_confirmed(void **state)
{
	struct stage *s = *state;

	begin(s, &of_channel);
	join(s, 0, NULL);
	assert_got(s, 0, "");
	confirm("c", NULL);
	assert_got(s, 0, OPEN("null"));
	publish("c", "one", NULL);
	publish("c", "two", "5-0"); /* it is recorded by another route */
	assert_got(s, 0, "one|two|");
	assert_asked("");
}

static void
a_channel_that_was_lost_is_told(void **state)
{
	struct stage *s = *state;

	begin(s, &of_channel);
	join(s, 0, NULL);
	confirm("c", NULL);
	assert_got(s, 0, OPEN("null"));
	lose_all();
	lose_all(); /* which is no more than once */
	assert_got(s, 0, "");
	confirm("c", NULL);
	assert_got(s, 0, "stream-reset {\"reason\":\"redis\"}|");
}

static void
what_is_followed_already_is_open_at_once(void **state)
{
	struct stage *s = *state;

	is_confirmed_before = true;
	place_before = id_of("4-2");
	begin(s, &of_streams);
	join(s, 0, NULL);
	assert_got(s, 0, OPEN("\"4-2,4-2\""));
	publish("s", "old", "4-2");
	publish("t", "new", "4-3");
	assert_got(s, 0, "new|");
}

static void
a_stream_stands_where_its_reader_does(void **state)
{
	struct stage *s = *state;

	begin(s, &of_streams);
	join(s, 0, NULL);
	confirm("t", "7-0");
	assert_got(s, 0, "");
	confirm("s", "3-0"); /* the same name twice is one */
	assert_got(s, 0, OPEN("\"3-0,7-0\""));
	publish("s", "three", "3-0");
	publish("s", "four", "4-0");
	publish("t", "eight", "8-0");
	assert_got(s, 0, "four|eight|");
	join(s, 1, NULL);
	assert_got(s, 1, OPEN("\"4-0,8-0\""));
}

static void
what_a_stream_lost_is_told(void **state)
{
	struct stage *s = *state;

	begin(s, &of_streams);
	join(s, 0, NULL);
	confirm("s", "3-0");
	confirm("t", "3-0");
	assert_got(s, 0, OPEN("\"3-0,3-0\""));
	change("s", STREAM_TRIMMED, "9-0");
	change("t", STREAM_BEGAN_ANEW, "1-0");
	assert_got(
	    s, 0,
	    "stream-reset {\"reason\":\"trimmed\"}|stream-reset {\"reason\":\"unknown-id\"}|");
	publish("s", "nine", "9-0");
	publish("s", "ten", "10-0");
	publish("t", "two", "2-0");
	assert_got(s, 0, "ten|two|");
}

static void
a_channel_and_a_stream_wait_for_each_other(void **state)
{
	struct stage *s = *state;

	begin(s, &of_both);
	join(s, 0, NULL);
	confirm("s", "1-0");
	lose_all();
	confirm("c", NULL);
	assert_got(s, 0, "");
	confirm("s", "2-0");
	assert_got(s, 0, OPEN("\"2-0\""));
}

static void
a_key_is_told_by_its_name(void **state)
{
	struct stage *s = *state;

	begin(s, &of_keys);
	join(s, 0, NULL);
	confirm("k*", NULL);
	assert_got(s, 0, OPEN("null"));
	publish("k*", "set", NULL);
	assert_got(s, 0, "set {\"key\":\"k*\"}|");
	assert_asked("");
}

/* One question for what was told until it was sent, one more for what was told since. */
static void
what_a_key_holds_is_read_behind_its_change(void **state)
{
	struct stage *s = *state;

	s->settings.keyspace_value = true;
	begin(s, &of_keys);
	join(s, 0, NULL);
	confirm("k*", NULL);
	assert_got(s, 0, OPEN("null"));
	publish("k*", "set", NULL);
	publish("k*", "expire", NULL);
	assert_asked("");
	pass_ms(s, 2);
	assert_asked_for("EVAL local read 1 k*|");
	publish("k*", "del", NULL);
	pass_ms(s, 2);
	assert_asked("");
	answer_command("EVAL", "*2\r\n$6\r\nstring\r\n$3\r\none\r\n");
	assert_got(
	    s, 0,
	    "set {\"key\":\"k*\",\"value\":\"one\"}|expire {\"key\":\"k*\",\"value\":\"one\"}|");
	assert_asked_for("EVAL local read 1 k*|");
	answer_command("EVAL", "*-1\r\n");
	assert_got(s, 0, "del {\"key\":\"k*\",\"value\":null}|");
}

static void
a_key_that_cannot_be_read_is_asked_for_again(void **state)
{
	struct stage *s = *state;

	s->settings.keyspace_value = true;
	begin(s, &of_keys);
	join(s, 0, NULL);
	confirm("k*", NULL);
	assert_got(s, 0, OPEN("null"));
	publish("k*", "set", NULL);
	pass_ms(s, 2);
	assert_asked_for("EVAL");
	answer_command("EVAL", NULL);
	assert_got(s, 0, "");
	pass_ms(s, 400);
	assert_asked_for("EVAL");
	answer_command("EVAL",
		       "-ERR no\r\n"); /* refused: the change is told without what it holds */
	assert_got(s, 0, "set {\"key\":\"k*\"}|");
}

/* The feed goes while a question is on its way: its answer finds nobody. */
static void
a_feed_that_goes_leaves_no_question(void **state)
{
	struct stage *s = *state;

	s->settings.keyspace_value = true;
	begin(s, &of_keys);
	join(s, 0, NULL);
	confirm("k*", NULL);
	publish("k*", "set", NULL);
	pass_ms(s, 2);
	assert_asked_for("EVAL");
	subscriber_close(&s->clients[0].sub);
	pass_ms(s, 6000);
	for (size_t i = 0; i < 16; i++)
		assert_null(followed[i]);
	answer_command("EVAL", "*2\r\n$6\r\nstring\r\n$3\r\none\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    STAGED(a_channel_opens_when_it_is_confirmed),
	    STAGED(a_channel_that_was_lost_is_told),
	    STAGED(what_is_followed_already_is_open_at_once),
	    STAGED(a_stream_stands_where_its_reader_does),
	    STAGED(what_a_stream_lost_is_told),
	    STAGED(a_channel_and_a_stream_wait_for_each_other),
	    STAGED(a_key_is_told_by_its_name),
	    STAGED(what_a_key_holds_is_read_behind_its_change),
	    STAGED(a_key_that_cannot_be_read_is_asked_for_again),
	    STAGED(a_feed_that_goes_leaves_no_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
