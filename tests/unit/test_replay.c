/*
 * test_replay.c - what came before a subscriber, beside pretended neighbours: what is asked for, in
 * which order it is sent, and where it goes on in the log.
 */
#include "fake_sources.h"

static int
open_streams(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_stream(fd, "s");
}

static int
open_two(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_stream(fd, "s") != 0 || feed_stream(fd, "t") != 0;
}

static const struct handler one = {.name = "one", .open = open_streams},
			    two = {.name = "two", .open = open_two};

#define OPEN(cursor)    "stream-open {\"resumed\":false,\"from\":\"" cursor "\"}|"
#define RESUMED(cursor) "stream-open {\"resumed\":true,\"from\":\"" cursor "\"}|"
#define RESET(reason)   "stream-reset {\"reason\":\"" reason "\"}|"

/* The streams stand here, and a client comes back from there. */
static struct stage *
come_back(void **state, const struct handler *handler, const char *at, const char *from)
{
	struct stage *s = *state;

	begin(s, handler);
	join(s, 0, from);
	assert_asked("");
	confirm("s", at);
	if (handler == &two)
		confirm("t", at);
	return s;
}

static void
what_was_missed_is_sent_once(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "2-0");

	assert_asked("look s|");
	answer_info("1-0", "5-0", 5);
	assert_asked("read s 2-1 5-0 x16|");
	publish("s", "six", "6-0"); /* it stands in the log */
	answer_entries("3-0 4-0 5-0", true);
	assert_got(s, 0, RESUMED("2-0") "3-0|4-0|5-0|six|");
	publish("s", "seven", "7-0");
	assert_got(s, 0, "seven|");
	assert_asked("");
}

/* Two messages were the last while it was sent the past: the first of them ends its stream. */
static void
who_is_sent_the_past_ends_with_the_first_end(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "2-0");

	answer_info("1-0", "5-0", 5);
	publish("s", "six", "6-0");
	feed_end(feed_of_stream(&s->clients[0].sub));
	publish("s", "seven", "7-0");
	feed_end(feed_of_stream(&s->clients[0].sub));
	answer_entries("3-0 4-0 5-0", true);
	assert_got(s, 0, RESUMED("2-0") "3-0|4-0|5-0|six|stream-done {\"reason\":\"until\"}|");
}

static void
pages_follow_each_other(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "2-0");

	answer_info("1-0", "5-0", 5);
	asked[0] = '\0';
	answer_entries("3-0 4-0", false);
	assert_got(s, 0, RESUMED("2-0") "3-0|");
	assert_asked(
	    "read s 4-0 5-0 x16|"); /* what was kept back of the page before: is it there? */
	answer_entries("4-0 5-0", true);
	publish("s", "six", "6-0"); /* while there was no place for it in the log */
	assert_got(s, 0, "4-0|5-0|");
	assert_asked("read s 5-0 6-0 x16|");
	answer_entries("5-0 6-0", true);
	publish("s", "seven", "7-0");
	assert_got(s, 0, "6-0|seven|");
}

/* Trimmed behind what the client has had: nothing is missing. One further, and it is told. */
static void
what_was_trimmed_between_pages_is_told(void **state)
{
	struct stage *s = come_back(state, &one, "6-0", "2-0");

	answer_info("1-0", "6-0", 6);
	answer_entries("3-0 4-0", false);
	assert_got(s, 0, RESUMED("2-0") "3-0|");
	answer_entries("4-0 5-0", false);
	assert_got(s, 0, "4-0|");
	answer_entries("6-0", true);
	assert_got(s, 0, RESET("trimmed") "6-0|");
}

/* A page of one entry leaves none to keep back. */
static void
a_page_of_one_entry_is_sent(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "2-0");

	answer_info("1-0", "5-0", 5);
	answer_entries("3-0", false);
	assert_got(s, 0, RESUMED("2-0") "3-0|");
	answer_entries("3-0 4-0", false);
	assert_got(s, 0, "4-0|");
	answer_entries("4-0 5-0", true);
	assert_got(s, 0, "5-0|");
}

/* Nothing can be made of 4-0, which ends no round: of what is behind it nothing is lost. */
static void
a_page_of_which_nothing_can_be_sent_is_passed(void **state)
{
	struct stage *s = come_back(state, &one, "6-0", "2-0");

	answer_info("1-0", "6-0", 6);
	answer_entries("3-0", false);
	assert_got(s, 0, RESUMED("2-0") "3-0|");
	asked[0] = '\0';
	answer_past("*2\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\na\r\n:1\r\n"
		    "*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\na\r\n:1\r\n",
		    false);
	assert_asked_for("4-0 6-0");
	answer_entries("4-0 5-0 6-0", true);
	assert_got(s, 0, "5-0|6-0|");
}

static void
two_streams_are_merged_by_their_ids(void **state)
{
	struct stage *s = come_back(state, &two, "5-0", "1-0,2-0");

	assert_asked("look s|look t|");
	answer_info("1-0", "5-0", 3);
	answer_info("2-0", "5-0", 3);
	assert_asked("read s 1-1 5-0 x16|read t 2-1 5-0 x16|");
	answer_entries("3-0 5-0", true);
	assert_got(s, 0, "");
	answer_entries("3-1 4-0", true);
	assert_got(s, 0, RESUMED("1-0,2-0") "3-0|3-1|4-0|5-0|");
}

static void
what_was_trimmed_is_told(void **state)
{
	struct stage *s = come_back(state, &one, "9-0", "2-0");

	answer_info("8-0", "9-0", 9);
	asked[0] = '\0';
	answer_entries("8-0 9-0", true);
	assert_got(s, 0, RESUMED("2-0") RESET("trimmed") "8-0|9-0|");
}

static void
an_id_that_is_none_of_ours_is_told(void **state)
{
	struct stage *s = come_back(state, &one, "9-0", "hello");

	assert_asked("");
	assert_got(s, 0, OPEN("9-0") RESET("unknown-id"));
}

static void
an_id_of_the_future_is_told(void **state)
{
	struct stage *s = come_back(state, &one, "9-0", "20-0");

	assert_asked("look s|");
	answer_info("1-0", "9-0", 9);
	assert_got(s, 0, OPEN("9-0") RESET("unknown-id"));
}

/* The client is ahead of this worker's reader, which will get there. */
static void
who_is_ahead_waits_for_the_reader(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "7-0");

	answer_info("1-0", "8-0", 8);
	asked[0] = '\0';
	assert_got(s, 0, "");
	publish("s", "six", "6-0");
	assert_asked("");
	publish("s", "seven", "7-0");
	assert_asked("look s|");
	answer_info("1-0", "8-0", 8);
	publish("s", "eight", "8-0");
	assert_got(s, 0, RESUMED("7-0") "eight|");
}

/* And if the reader gets there while Redis is asked, after the place was taken. */
static void
who_was_ahead_has_nothing_twice(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "7-0");

	publish("s", "six", "6-0");
	publish("s", "seven", "7-0");
	publish("s", "eight", "8-0");
	answer_info("1-0", "8-0", 8);
	asked[0] = '\0';
	answer_entries("8-0", true);
	publish("s", "nine", "9-0");
	assert_got(s, 0, RESUMED("7-0") "8-0|nine|");
}

static void
what_is_not_answered_is_asked_again(void **state)
{
	struct stage *s = come_back(state, &one, "5-0", "4-0");

	answer_past(NULL, false);
	assert_asked("look s|");
	pass_ms(s, 400);
	assert_asked("look s|");
	answer_info("1-0", "5-0", 5);
	answer_past("-LOADING soon\r\n", false);
	asked[0] = '\0';
	pass_ms(s, 400);
	assert_asked("look s|");
	answer_info("1-0", "5-0", 5);
	answer_entries("5-0", true);
	assert_got(s, 0, RESUMED("4-0") "5-0|");
}

/* Who comes without an id is sent the newest two; there is one more, behind which they stand. */
static void
the_newest_are_counted_from_the_end(void **state)
{
	struct stage *s = *state;

	s->settings.start.last = 2;
	begin(s, &one);
	join(s, 0, NULL);
	confirm("s", "9-0");
	assert_asked("look s|");
	answer_info("1-0", "9-0", 9);
	assert_asked("back s 0-1 9-0 x3|");
	answer_entries("9-0 8-0 7-0", false);
	assert_asked("read s 7-0 9-0 x16|");
	answer_entries("7-0 8-0 9-0", true);
	assert_got(s, 0, OPEN("7-18446744073709551615") "8-0|9-0|");
}

static void
no_more_are_sent_than_the_route_gives(void **state)
{
	struct stage *s = *state;

	s->settings.max_events = 2;
	come_back(state, &one, "5-0", "2-0");
	answer_info("1-0", "5-0", 5);
	answer_entries("3-0 4-0 5-0", true);
	assert_got(s, 0, RESUMED("2-0") "3-0|4-0|stream-done {\"reason\":\"max_events\"}|");
	assert_true(s->clients[0].is_closed);
}

/* In every state: what was asked for it concerns nobody any more. */
static void
who_goes_takes_the_questions_along(void **state)
{
	struct stage *s = *state;

	begin(s, &one);
	join(s, 0, "2-0");
	subscriber_close(&s->clients[0].sub);
	join(s, 0, "2-0");
	confirm("s", "5-0");
	subscriber_close(&s->clients[0].sub);
	join(s, 0, "2-0");
	answer_info("1-0", "5-0", 5);
	subscriber_close(&s->clients[0].sub);
	join(s, 0, "2-0");
	answer_info("1-0", "5-0", 5);
	answer_entries("3-0 4-0", false);
	subscriber_end(&s->clients[0].sub, END_LIFETIME);
	assert_got(s, 0, RESUMED("2-0") "3-0|stream-end {\"reason\":\"lifetime\"}|");
	assert_true(list_is_empty(&fake_past.pending));
}

/* All that it missed stands in the log: Redis is not asked. */
static void
what_the_log_still_holds_is_not_read(void **state)
{
	struct stage *s = *state;

	s->settings.max_events = 4;
	begin(s, &one);
	join(s, 0, NULL);
	confirm("s", "5-0");
	publish("s", "six", "6-0");
	publish("s", "seven", "7-0");
	publish("s", "eight", "8-0");
	join(s, 1, "6-0");
	assert_got(s, 1, RESUMED("6-0") "seven|eight|");
	assert_asked("");
	publish("s", "nine",
		"9-0"); /* the third that it is sent; one more follows, and is its last */
	assert_got(s, 1, "nine|");
	publish("s", "ten", "10-0");
	assert_got(s, 1, "ten|stream-done {\"reason\":\"max_events\"}|");
	join(s, 2, "5-0"); /* which is older than what it holds */
	assert_asked("look s|");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    STAGED(what_was_missed_is_sent_once),
	    STAGED(who_is_sent_the_past_ends_with_the_first_end),
	    STAGED(pages_follow_each_other),
	    STAGED(what_was_trimmed_between_pages_is_told),
	    STAGED(a_page_of_one_entry_is_sent),
	    STAGED(a_page_of_which_nothing_can_be_sent_is_passed),
	    STAGED(two_streams_are_merged_by_their_ids),
	    STAGED(what_was_trimmed_is_told),
	    STAGED(an_id_that_is_none_of_ours_is_told),
	    STAGED(an_id_of_the_future_is_told),
	    STAGED(who_is_ahead_waits_for_the_reader),
	    STAGED(who_was_ahead_has_nothing_twice),
	    STAGED(what_is_not_answered_is_asked_again),
	    STAGED(the_newest_are_counted_from_the_end),
	    STAGED(no_more_are_sent_than_the_route_gives),
	    STAGED(who_goes_takes_the_questions_along),
	    STAGED(what_the_log_still_holds_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
