/*
 * test_source_recorded.c - a recorded channel as a source: its messages come by pub/sub, and
 * whatever may have been missed is read from its log before anything newer is sent.
 */
#include "fake_sources.h"

static int
open_channel(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_channel(fd, "r");
}

static int
open_pattern(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_pattern(fd, "r*");
}

static const struct handler handler = {.name = "r", .open = open_channel},
			    with_pattern = {.name = "p", .open = open_pattern};

#define OPEN(cursor) "stream-open {\"resumed\":false,\"from\":" cursor "}|"

/* One client, who is open behind the newest of three. */
static struct stage *
open_one(void **state)
{
	struct stage *s = *state;

	s->settings.record = 10;
	begin(s, &handler);
	join(s, 0, NULL);
	confirm("r", NULL);
	assert_asked("look r:log|");
	answer_info("1-0", "3-0", 3);
	assert_got(s, 0, OPEN("\"3-0\""));
	return s;
}

static void
nobody_is_let_in_before_the_log_is_known(void **state)
{
	struct stage *s = *state;

	s->settings.record = 10;
	begin(s, &handler);
	join(s, 0, NULL);
	assert_asked("");
	confirm("r", NULL);
	assert_got(s, 0, "");
	assert_asked("look r:log|");
	answer_info("1-0", "3-0", 3);
	assert_got(s, 0, OPEN("\"3-0\""));
}

static void
only_channels_can_be_recorded(void **state)
{
	static const struct template_value no_params[] = {{NULL, NULL}};
	struct stage *s = *state;
	struct feed *fd;

	s->settings.record = 10;
	begin(s, &with_pattern);
	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL),
			 HTTP_INTERNAL_ERROR);
}

static void
a_message_comes_once(void **state)
{
	struct stage *s = open_one(state);

	publish("r", "four", "4-0");
	publish("r", "unrecorded", NULL);
	assert_got(s, 0, "four|unrecorded|");
	assert_asked("");
	publish("r", "old", "3-0"); /* an id that is not newer: is it the same log? */
	assert_asked("look r:log|");
	answer_info("1-0", "4-0", 4);
	assert_got(s, 0, "");
}

/* What comes while the log is read stands in it, too: so it is looked at once more. */
static void
what_was_missed_is_read_before_what_is_newer(void **state)
{
	struct stage *s = open_one(state);

	lose_all();
	confirm("r", NULL);
	assert_asked("back r:log 0-0 3-0 x1|"); /* is it still there? */
	answer_entries("3-0", false);
	assert_asked("look r:log|");
	publish("r", "six", "6-0");
	answer_info("1-0", "5-0", 5);
	assert_asked("read r:log 3-1 5-0 x16|");
	answer_entries("4-0 5-0", true);
	assert_asked("look r:log|");
	answer_info("1-0", "6-0", 6);
	assert_asked("read r:log 5-1 6-0 x16|");
	answer_entries("6-0", true);
	publish("r", "seven", "7-0");
	assert_got(s, 0, "4-0|5-0|6-0|seven|");
	assert_asked("");
}

static void
a_log_that_was_trimmed_or_begun_anew_is_told(void **state)
{
	struct stage *s = open_one(state);

	lose_all();
	confirm("r", NULL);
	answer_entries("", true);
	answer_info("8-0", "9-0", 2);
	answer_entries("8-0 9-0", true);
	assert_got(s, 0, "stream-reset {\"reason\":\"trimmed\"}|8-0|9-0|");
	asked[0] = '\0';
	lose_all();
	confirm("r", NULL);
	assert_asked("back r:log 0-0 9-0 x1|");
	answer_entries("1-0", false);
	assert_asked("look r:log|");
	answer_info("1-0", "1-0", 1);
	assert_asked("read r:log 0-1 1-0 x16|");
	answer_entries("1-0", true);
	assert_got(s, 0, "stream-reset {\"reason\":\"unknown-id\"}|1-0|");
}

/* The new server never had 5-0, and others wrote 4-0 there. */
static void
what_a_fail_over_put_before_the_place_is_read(void **state)
{
	struct stage *s = open_one(state);

	publish("r", "five", "5-0");
	assert_got(s, 0, "five|");
	lose_all();
	confirm("r", NULL);
	assert_asked("back r:log 0-0 5-0 x1|");
	answer_entries("4-0", false);
	assert_asked("back r:log 0-0 3-0 x1|");
	answer_past(NULL, false);
	pass_ms(s, 1100);
	assert_asked("back r:log 0-0 3-0 x1|");
	answer_entries("3-0", false);
	assert_asked("look r:log|");
	answer_info("1-0", "6-0", 5);
	assert_asked("read r:log 3-1 6-0 x16|");
	answer_entries("4-0 6-0", true);
	assert_got(s, 0, "stream-reset {\"reason\":\"unknown-id\"}|4-0|6-0|");
	assert_asked("");
}

static void
what_is_not_answered_is_asked_again(void **state)
{
	struct stage *s = *state;

	s->settings.record = 10;
	begin(s, &handler);
	join(s, 0, NULL);
	confirm("r", NULL);
	answer_past(NULL, false);
	asked[0] = '\0';
	pass_ms(s, 299);
	pass_ms(s, 5);
	assert_asked("look r:log|");
	answer_past("-NOPERM no\r\n", false);
	pass_ms(s, 1100);
	assert_asked("look r:log|");
	answer_info("1-0", "3-0", 3);
	assert_got(s, 0, OPEN("\"3-0\""));
}

/* A question that was on its way when the link was lost concerns nobody. */
static void
a_lost_link_begins_anew(void **state)
{
	struct stage *s = *state;

	s->settings.record = 10;
	begin(s, &handler);
	join(s, 0, NULL);
	confirm("r", NULL);
	assert_asked("look r:log|");
	lose_all();
	assert_true(list_is_empty(&fake_past.pending));
	assert_got(s, 0, "");
	confirm("r", NULL);
	assert_asked("look r:log|");
	answer_info("1-0", "3-0", 3);
	assert_got(s, 0, OPEN("\"3-0\""));
}

/* Nobody will tell that it is confirmed, and nobody is let in all the same. */
static void
one_that_is_followed_already_is_looked_at(void **state)
{
	struct stage *s = *state;

	s->settings.record = 10;
	is_confirmed_before = true;
	begin(s, &handler);
	join(s, 0, NULL);
	assert_asked("look r:log|");
	assert_got(s, 0, "");
	answer_info("1-0", "3-0", 3);
	assert_got(s, 0, OPEN("\"3-0\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    STAGED(nobody_is_let_in_before_the_log_is_known),
	    STAGED(one_that_is_followed_already_is_looked_at),
	    STAGED(only_channels_can_be_recorded),
	    STAGED(a_message_comes_once),
	    STAGED(what_was_missed_is_read_before_what_is_newer),
	    STAGED(a_log_that_was_trimmed_or_begun_anew_is_told),
	    STAGED(what_a_fail_over_put_before_the_place_is_read),
	    STAGED(what_is_not_answered_is_asked_again),
	    STAGED(a_lost_link_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
