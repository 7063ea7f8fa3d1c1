/*
 * test_wait.c - a client that wants one event of a feed: what comes next, or what came since it was
 * here, or nothing in time. Beside pretended neighbours.
 */
#include "fake_sources.h"
#include "source/wait.h"

static int
open_stream(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_stream(fd, "s");
}

static int
open_channel(struct feed *fd, const struct request *req)
{
	(void)req;
	return feed_channel(fd, "c");
}

/* Of a handler that withholds what begins with "-". */
static enum verdict
without_dashes(struct feed *fd, struct message *msg)
{
	size_t len;

	(void)fd;
	return message_bytes(msg, &len)[0] == '-' ? DROP : KEEP;
}

static const struct handler of_stream = {.name = "s",
					 .kind = HANDLER_WAIT,
					 .open = open_stream,
					 .message = without_dashes},
			    of_channel = {.name = "c", .kind = HANDLER_WAIT, .open = open_channel};

/* Who waits, and what it was told. */
struct patient {
	struct waiter waiter;
	unsigned n_told;
	bool is_closed;
	char told[64]; /* "id data"; "": nothing came */
};

static struct patient patients[2];

static void
on_event(struct waiter *w, const struct event *ev)
{
	struct patient *p = LIST_ENTRY(w, struct patient, waiter);

	p->n_told++;
	if (ev != NULL)
		snprintf(p->told, sizeof(p->told), "%.*s %.*s", (int)ev->id_len,
			 ev->id_len > 0 ? ev->id : "", (int)ev->data_len, ev->data);
}

static void
on_closed(struct waiter *w)
{
	LIST_ENTRY(w, struct patient, waiter)->is_closed = true;
}

static const struct waiter_ops waiter_ops = {.on_event = on_event, .on_closed = on_closed};

static struct patient *
wait_for(struct stage *s, size_t n, const char *after)
{
	struct patient *p = &patients[n];

	memset(p, 0, sizeof(*p));
	assert_int_equal(wait_begin(&p->waiter, get_feed(s), 1000, after, &waiter_ops), 0);
	assert_int_equal(p->n_told, 0);
	return p;
}

/* It is told once, and its timer is closed. */
static void
assert_told(struct stage *s, const struct patient *p, const char *what)
{
	turn(s);
	assert_int_equal(p->n_told, 1);
	assert_string_equal(p->told, what);
	assert_true(p->is_closed);
}

static void
the_next_event_is_the_answer(void **state)
{
	struct stage *s = *state;
	struct patient *p, *q;

	begin(s, &of_channel);
	p = wait_for(s, 0, NULL);
	q = wait_for(s, 1, NULL);
	confirm("c", NULL);
	turn(s);
	publish("c", "one", NULL);
	publish("c", "two", NULL);
	assert_told(s, p, " one");
	assert_told(s, q, " one");
}

static void
nothing_in_time_is_an_answer_too(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_channel);
	p = wait_for(s, 0, NULL);
	pass_ms(s, 900);
	assert_int_equal(p->n_told, 0);
	pass_ms(s, 200);
	assert_told(s, p, "");
}

static void
what_a_handler_withholds_nobody_is_told(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, "1-0");
	confirm("s", "3-0");
	assert_asked("read s 1-1 3-0 x16|");
	answer_past("*2\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$4\r\ndata\r\n$1\r\n-\r\n"
		    "*2\r\n$3\r\n3-0\r\n*2\r\n$4\r\ndata\r\n$1\r\n-\r\n",
		    true);
	assert_int_equal(p->n_told, 0);
	publish("s", "-", "4-0");
	publish("s", "five", "5-0");
	assert_told(s, p, "5-0 five");
}

static void
what_came_since_is_the_answer(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, "1-0");
	assert_asked("");
	confirm("s", "3-0");
	assert_asked("read s 1-1 3-0 x16|");
	publish("s", "four", "4-0"); /* it will be of the past */
	answer_entries("2-0 3-0", true);
	assert_told(s, p, "2-0 2-0");
}

/* What came while the past was read is of it: so it is read on, until nothing has come between. */
static void
the_past_ends_where_the_feed_stands(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, "3-0");
	confirm("s", "3-0");
	assert_asked("");
	publish("s", "four", "4-0");
	assert_told(s, p, "4-0 four");
	p = wait_for(s, 0, "3-0");
	assert_asked("read s 3-1 4-0 x16|");
	publish("s", "five", "5-0");
	answer_entries("", true); /* it was trimmed meanwhile */
	assert_asked("read s 4-1 5-0 x16|");
	answer_entries("5-0", true);
	assert_told(s, p, "5-0 5-0");
}

/* The client has had what this worker's reader has not seen yet. */
static void
what_it_had_is_not_told_again(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, "5-0");
	confirm("s", "3-0");
	assert_asked("look s|");
	answer_info("1-0", "5-0", 5);
	publish("s", "four", "4-0");
	publish("s", "five", "5-0");
	assert_int_equal(p->n_told, 0);
	publish("s", "six", "6-0");
	assert_told(s, p, "6-0 six");
}

static void
what_is_not_answered_is_asked_again(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, "2-0");
	confirm("s", "3-0");
	answer_past(NULL, false);
	asked[0] = '\0';
	pass_ms(s, 400);
	assert_asked("read s 2-1 3-0 x16|");
	answer_past("-ERR no\r\n", false);
	pass_ms(s, 1100); /* the time is over before it could be asked once more */
	assert_told(s, p, "");
}

static void
an_id_that_is_none_is_refused(void **state)
{
	struct stage *s = *state;

	begin(s, &of_stream);
	memset(patients, 0, sizeof(patients));
	assert_int_equal(wait_begin(&patients[0].waiter, get_feed(s), 1000, "hello", &waiter_ops),
			 -EINVAL);
}

/* In each state: nothing is told, and nothing asked stays. The feed lingers, and goes. */
static void
who_goes_is_told_nothing(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, "2-0");
	wait_cancel(&p->waiter);
	wait_cancel(&p->waiter);
	turn(s);
	assert_true(p->is_closed);
	p = wait_for(s, 0, "2-0");
	confirm("s", "3-0");
	assert_asked("read s 2-1 3-0 x16|");
	wait_cancel(&p->waiter);
	assert_true(list_is_empty(&fake_past.pending));
	p = wait_for(s, 1, NULL);
	wait_cancel(&p->waiter);
	publish("s", "four", "4-0");
	turn(s);
	assert_int_equal(patients[0].n_told + patients[1].n_told, 0);
	pass_ms(s, 6000);
	assert_null(followed[0]);
}

static void
who_waits_when_the_route_goes_is_told(void **state)
{
	struct stage *s = *state;
	struct patient *p;

	begin(s, &of_stream);
	p = wait_for(s, 0, NULL);
	feed_class_close(&s->class, END_RELOAD, on_class_closed);
	assert_told(s, p, "");
}

/* The class has gone already. */
static int
strike_after_close(void **state)
{
	struct stage *s = *state;

	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	free(s);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    STAGED(the_next_event_is_the_answer),
	    STAGED(nothing_in_time_is_an_answer_too),
	    STAGED(what_a_handler_withholds_nobody_is_told),
	    STAGED(what_came_since_is_the_answer),
	    STAGED(the_past_ends_where_the_feed_stands),
	    STAGED(what_it_had_is_not_told_again),
	    STAGED(what_is_not_answered_is_asked_again),
	    STAGED(an_id_that_is_none_is_refused),
	    STAGED(who_goes_is_told_nothing),
	    cmocka_unit_test_setup_teardown(who_waits_when_the_route_goes_is_told, set_stage,
					    strike_after_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
