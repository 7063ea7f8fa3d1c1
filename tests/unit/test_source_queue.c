/*
 * test_source_queue.c - a queue: its group is asked for as many entries as somebody can take, each
 * goes to one, and is acknowledged when it was had.
 */
#include "fake_sources.h"
#include "logic/template.h"

static int
open_stream(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_stream(fd, "s");
}

static int
open_nothing(struct feed *fd, const struct request *req)
{
	(void)fd;
	(void)req;
	return 0;
}

static const struct handler handler = {.name = "q", .kind = HANDLER_QUEUE, .open = open_stream},
			    of_nothing = {.name = "n", .kind = HANDLER_QUEUE, .open = open_nothing};

#define OPEN "stream-open {\"resumed\":false,\"from\":null}|"

/* The section: a group, and who acknowledges. */
static struct handler_setting set[4];

static void
say(struct stage *s, const char *ack)
{
	static const struct handler_key group = {.name = "group", .kind = HANDLER_SHARED},
					by = {.name = "ack", .kind = HANDLER_TEXT},
					claim = {.name = "claim_after", .kind = HANDLER_NUMBER},
					fetch = {.name = "prefetch", .kind = HANDLER_NUMBER};
	static char texts[2][8] = {"auto", "client"};
	char why[128];

	memset(set, 0, sizeof(set));
	set[0].key = &group;
	assert_int_equal(template_compile(&set[0].template, "g", TEMPLATE_PARAMS, why, sizeof(why)),
			 0);
	set[1] = (struct handler_setting){.key = &by, .text = texts[strcmp(ack, "client") == 0]};
	set[2] = (struct handler_setting){.key = &claim, .number = 10000};
	set[3] = (struct handler_setting){.key = &fetch, .number = 2};
	s->settings.handler_settings = (struct handler_settings){set, 4};
}

static int
strike(void **state)
{
	int rc = strike_stage(state);

	template_free(set[0].template);
	return rc;
}

/* The group's answer to XREADGROUP. */
static void
answer_group(const char *ids)
{
	char resp[8192] = "", entries[4096] = "", copy[512], *id, *rest = NULL;
	unsigned n = 0;

	snprintf(copy, sizeof(copy), "%s", ids);
	for (id = strtok_r(copy, " ", &rest); id != NULL; id = strtok_r(NULL, " ", &rest), n++)
		snprintf(entries + strlen(entries), sizeof(entries) - strlen(entries),
			 "*2\r\n$%zu\r\n%s\r\n*2\r\n$4\r\ndata\r\n$%zu\r\n%s\r\n", strlen(id), id,
			 strlen(id), id);
	snprintf(resp, sizeof(resp), "*1\r\n*2\r\n$1\r\ns\r\n*%u\r\n%.4000s", n, entries);
	answer_command("XREADGROUP", resp);
}

/* What is asked besides, of those who were killed or hold too long, has answers of no interest. */
static void
answer_besides(struct stage *s)
{
	while (answer_if_asked("EVAL for _", ":0\r\n") ||
	       answer_if_asked("EVAL local max", "*2\r\n:0\r\n*0\r\n"))
		;
	pass_ms(s, 2);
}

/* So many clients are open, and the group is asked. */
static struct stage *
open_some(void **state, const char *ack, size_t n)
{
	struct stage *s = *state;
	size_t i;

	say(s, ack);
	begin(s, &handler);
	for (i = 0; i < n; i++)
		join(s, i, NULL);
	confirm("s", "0-0");
	if (strcmp(ack, "client") == 0)
		confirm("s:acked", NULL);
	for (i = 0; i < n; i++)
		assert_got(s, i, "");
	answer_command("EVAL local at", "+OK\r\n"); /* the group is there */
	asked[0] = '\0';
	for (i = 0; i < n; i++)
		assert_got(s, i, OPEN);
	pass_ms(s, 2);
	answer_besides(s);
	return s;
}

static void
nobody_is_let_in_before_the_group_is_there(void **state)
{
	struct stage *s = *state;

	say(s, "auto");
	begin(s, &handler);
	join(s, 0, NULL);
	assert_asked("EVAL local at = 1 s g $|");
	confirm("s", "0-0");
	assert_got(s, 0, "");
	answer_command("EVAL local at", "-NOPERM no\r\n");
	pass_ms(s, 3000);
	assert_got(s, 0, "");
	answer_command("EVAL local at", "-BUSYGROUP it is there\r\n");
	assert_got(s, 0, OPEN);
}

static void
what_follows_no_stream_is_no_queue(void **state)
{
	static const struct template_value no_params[] = {{NULL, NULL}};
	struct stage *s = *state;
	struct feed *fd;

	say(s, "auto");
	begin(s, &of_nothing);
	assert_int_equal(feed_get(&fd, &s->class, &wire_event_stream, no_params, NULL),
			 HTTP_INTERNAL_ERROR);
}

static void
each_entry_goes_to_one(void **state)
{
	struct stage *s = open_some(state, "auto", 2);

	assert_asked_for("COUNT 2 STREAMS s >|");
	answer_command("XREADGROUP", "*-1\r\n");
	publish("s", "1-0", "1-0"); /* it has grown: the group gives it */
	pass_ms(s, 2);
	assert_asked_for("COUNT 2 STREAMS s >|");
	answer_group("1-0 2-0");
	assert_got(s, 0, "1-0|");
	assert_got(s, 1, "2-0|");
	pass_ms(s, 2);
	assert_asked_for("XACK s g 1-0 2-0|");
}

/* With ack = client one holds no more than prefetch says. */
static void
who_holds_enough_is_given_no_more(void **state)
{
	struct stage *s = open_some(state, "client", 1);

	answer_group("1-0");
	assert_got(s, 0, "1-0|");
	pass_ms(s, 2);
	answer_group("2-0");
	assert_got(s, 0, "2-0|");
	asked[0] = '\0';
	publish("s", "x", "3-0");
	pass_ms(s, 2);
	assert_asked("");
	publish("s:acked", "other 1-0", NULL); /* of another group */
	pass_ms(s, 2);
	assert_asked("");
	publish("s:acked", "g 1-0", NULL);
	pass_ms(s, 2);
	assert_asked_for("COUNT 1 STREAMS s >|");
}

static void
a_group_that_somebody_deleted_is_made_anew(void **state)
{
	struct stage *s = open_some(state, "auto", 1);

	asked[0] = '\0';
	answer_command("XREADGROUP", "-NOGROUP no such group\r\n");
	pass_ms(s, 2);
	assert_asked("EVAL local at = 1 s g $|");
	answer_command("EVAL local at", "+OK\r\n");
	pass_ms(s, 2);
	assert_asked_for("XREADGROUP");
}

/* What is not acknowledged for twice claim_after is somebody else's, and takes no room. */
static void
what_is_held_too_long_takes_no_room(void **state)
{
	struct stage *s = open_some(state, "client", 1);

	answer_group("1-0 2-0");
	assert_got(s, 0, "1-0|2-0|");
	pass_ms(s, 2);
	answer_besides(s);
	asked[0] = '\0';
	for (unsigned i = 0; i < 25; i++) {
		pass_ms(s, 1000);
		answer_besides(s);
	}
	assert_asked_for("XREADGROUP");
}

/* What a feed asked before it ended finds nobody, and its consumer is taken from the group. */
static void
a_queue_that_ends_takes_leave(void **state)
{
	struct stage *s = open_some(state, "auto", 1);

	asked[0] = '\0';
	subscriber_close(&s->clients[0].sub);
	pass_ms(s, 6000);
	assert_asked_for("EVAL for _");
	assert_null(followed[0]);
	answer_command("XREADGROUP", "*-1\r\n");
}

#define QUEUE(test) cmocka_unit_test_setup_teardown(test, set_stage, strike)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    QUEUE(nobody_is_let_in_before_the_group_is_there),
	    QUEUE(what_follows_no_stream_is_no_queue),
	    QUEUE(each_entry_goes_to_one),
	    QUEUE(who_holds_enough_is_given_no_more),
	    QUEUE(a_group_that_somebody_deleted_is_made_anew),
	    QUEUE(what_is_held_too_long_takes_no_room),
	    QUEUE(a_queue_that_ends_takes_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
