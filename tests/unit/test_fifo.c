/*
 * test_fifo.c - what falls due, when, and in which order, whatever happens meanwhile.
 *
 * The clock is the test's own: libuv asks clock_gettime(), which is defined here in place of
 * libc's, and the loop never waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hub/fifo.h"

enum { PERIOD_MS = 100 };

static uint64_t now_ms;

int clock_gettime(clockid_t clock, struct timespec *ts);

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	ts->tv_sec = (time_t)(now_ms / 1000);
	ts->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

/* A thing that is due, by its letter, and what it does then. */
struct thing {
	struct fifo_node node;
	char letter;
	struct thing *deletes;
	struct fifo *joins;
	bool is_freed;
	bool closes;
};

static uv_loop_t loop;
static struct fifo fifo;
static char due[64]; /* letters, in the order in which they fell due */
static int n_closed;

static void
on_closed(uv_handle_t *handle)
{
	(void)handle;
	n_closed++;
}

static void
on_due(struct fifo *of, struct fifo_node *node)
{
	struct thing *t = LIST_ENTRY(node, struct thing, node);
	size_t n = strlen(due);

	assert_true(list_is_empty(&node->node));
	assert_true(n + 1 < sizeof(due));
	due[n] = t->letter;
	if (t->deletes != NULL)
		fifo_del(&t->deletes->node);
	if (t->joins != NULL)
		fifo_add(t->joins, node);
	if (t->closes)
		fifo_close(of, on_closed);
	if (t->is_freed)
		free(t);
}

static void
thing_init(struct thing *t, char letter)
{
	memset(t, 0, sizeof(*t));
	fifo_node_init(&t->node);
	t->letter = letter;
}

static void
go_to(uint64_t ms)
{
	now_ms = ms;
	uv_update_time(&loop);
}

static void
add_at(uint64_t ms, struct thing *t)
{
	go_to(ms);
	fifo_add(&fifo, &t->node);
}

/* One turn of the loop at that time; then exactly these have fallen due in it. */
#define ASSERT_DUE(ms, want) \
	do { \
		memset(due, 0, sizeof(due)); \
		go_to(ms); \
		uv_run(&loop, UV_RUN_NOWAIT); \
		assert_string_equal(due, want); \
	} while (0)

static int
open_fifo(void **state)
{
	(void)state;
	now_ms = 0;
	n_closed = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	fifo_init(&fifo, &loop, PERIOD_MS, on_due);
	return 0;
}

/* The timer is closed just once, also where the test has done so. */
static int
close_fifo(void **state)
{
	(void)state;
	if (!uv_is_closing((uv_handle_t *)&fifo.timer))
		fifo_close(&fifo, on_closed);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(n_closed, 1);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static void
order_of_adding(void **state)
{
	struct thing a, b, c;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	thing_init(&c, 'c');
	add_at(0, &b);
	add_at(10, &a);
	add_at(10, &c);
	ASSERT_DUE(99, "");
	ASSERT_DUE(100, "b");
	ASSERT_DUE(109, "");
	ASSERT_DUE(110, "ac");
	ASSERT_DUE(1000, "");
}

static void
a_late_turn_takes_all(void **state)
{
	struct thing t[26];
	size_t i;

	(void)state;
	for (i = 0; i < 26; i++) {
		thing_init(&t[i], (char)('a' + i));
		add_at(i * 4, &t[i]); /* z at 100 */
	}
	ASSERT_DUE(199, "abcdefghijklmnopqrstuvwxy");
	ASSERT_DUE(200, "z");
}

static void
after_all_were_due(void **state)
{
	struct thing a, b;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	add_at(0, &a);
	ASSERT_DUE(100, "a");
	add_at(500, &b);
	add_at(520, &a);
	ASSERT_DUE(599, "");
	ASSERT_DUE(600, "b");
	ASSERT_DUE(620, "a");
}

static void
moved_to_the_end(void **state)
{
	struct thing a, b;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	add_at(0, &a);
	add_at(20, &b);
	add_at(50, &a);
	ASSERT_DUE(100, ""); /* the timer of the first adding */
	ASSERT_DUE(119, "");
	ASSERT_DUE(120, "b");
	ASSERT_DUE(149, "");
	ASSERT_DUE(150, "a");
}

/* What is moved again and again, as a busy feed is, never falls due; the turns go on. */
static void
moved_again_and_again(void **state)
{
	struct thing a;
	uint64_t ms;

	(void)state;
	thing_init(&a, 'a');
	for (ms = 0; ms <= 1000; ms += 50) {
		ASSERT_DUE(ms, "");
		add_at(ms, &a);
	}
	ASSERT_DUE(1099, "");
	ASSERT_DUE(1100, "a");
}

static void
moved_to_another(void **state)
{
	struct fifo other;
	struct thing a, b;

	(void)state;
	fifo_init(&other, &loop, 10, on_due);
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	a.joins = &other;
	add_at(0, &a);
	add_at(0, &b);
	fifo_add(&other, &b.node); /* it is in no more than one */
	ASSERT_DUE(10, "b");
	ASSERT_DUE(100, "a");
	assert_true(list_is_empty(&fifo.nodes));
	assert_false(list_is_empty(&other.nodes));
	a.joins = NULL;
	ASSERT_DUE(109, "");
	ASSERT_DUE(110, "a");
	fifo_close(&other, NULL);
	uv_run(&loop, UV_RUN_NOWAIT); /* it stands on this stack */
}

static void
period_0_is_never(void **state)
{
	struct thing a, b;

	(void)state;
	fifo.period_ms = 0;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	add_at(0, &a);
	add_at(1, &b);
	assert_false(uv_is_active((uv_handle_t *)&fifo.timer));
	ASSERT_DUE(1, "");
	ASSERT_DUE(UINT32_MAX, "");
	fifo_del(&a.node);
	assert_ptr_equal(fifo.nodes.next, &b.node.node);
	fifo_del(&b.node);
	assert_true(list_is_empty(&fifo.nodes));
}

static void
deleted_before(void **state)
{
	struct thing a, b, c;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	thing_init(&c, 'c');
	fifo_del(&a.node); /* in none */
	add_at(0, &a);
	add_at(10, &b);
	add_at(20, &c);
	fifo_del(&a.node); /* the one that the timer is armed for */
	fifo_del(&a.node);
	ASSERT_DUE(100, "");
	ASSERT_DUE(110, "b");
	fifo_del(&c.node); /* the last */
	ASSERT_DUE(120, "");
	assert_false(uv_is_active((uv_handle_t *)&fifo.timer));
}

static void
deleted_in_on_due(void **state)
{
	static const struct {
		const char *name;
		int deleter, deleted;
		const char *want;
	} cases[] = {
	    {"itself", 0, 0, "abc"},
	    {"the next", 0, 1, "ac"},
	    {"the last", 0, 2, "ab"},
	    {"one before", 2, 0, "abc"},
	    {"the last from within", 1, 2, "ab"},
	};
	struct thing t[3];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (k = 0; k < 3; k++) {
			thing_init(&t[k], (char)('a' + k));
			add_at(i * 1000, &t[k]);
		}
		t[cases[i].deleter].deletes = &t[cases[i].deleted];
		memset(due, 0, sizeof(due));
		go_to(i * 1000 + PERIOD_MS);
		uv_run(&loop, UV_RUN_NOWAIT);
		if (strcmp(due, cases[i].want) != 0)
			fail_msg("%s: wanted %s, got %s", cases[i].name, cases[i].want, due);
		assert_true(list_is_empty(&fifo.nodes));
	}
}

static void
freed_in_on_due(void **state)
{
	struct thing *t;
	char letter;

	(void)state;
	for (letter = 'a'; letter <= 'e'; letter++) {
		t = malloc(sizeof(*t));
		assert_non_null(t);
		thing_init(t, letter);
		t->is_freed = true;
		add_at(0, t);
	}
	ASSERT_DUE(100, "abcde");
}

/* As a heartbeat is: it counts from the turn in which it was sent, and the turn ends. */
static void
added_again_in_on_due(void **state)
{
	struct thing a, b;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	a.joins = &fifo;
	add_at(0, &a);
	add_at(30, &b);
	ASSERT_DUE(105, "a");
	ASSERT_DUE(130, "b");
	ASSERT_DUE(204, "");
	ASSERT_DUE(205, "a");
	a.joins = NULL;
	ASSERT_DUE(305, "a");
	ASSERT_DUE(1000, "");
}

static void
nothing_is_due_after_close(void **state)
{
	struct thing a, b;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	add_at(0, &a);
	fifo_close(&fifo, on_closed);
	fifo_add(&fifo, &b.node);
	ASSERT_DUE(500, "");
	assert_int_equal(n_closed, 1);
	assert_ptr_equal(fifo.nodes.next, &a.node.node);
	assert_ptr_equal(a.node.node.next, &b.node.node);
	fifo_del(&a.node);
	fifo_del(&b.node);
	assert_true(list_is_empty(&fifo.nodes));
}

static void
closed_in_on_due(void **state)
{
	struct thing a, b;

	(void)state;
	thing_init(&a, 'a');
	thing_init(&b, 'b');
	a.closes = true;
	add_at(0, &a);
	add_at(1, &b);
	ASSERT_DUE(100, "a");
	ASSERT_DUE(101, ""); /* whether libuv closes before the timers of a turn or after */
	assert_int_equal(n_closed, 1);
	fifo_del(&b.node);
}

#define FIFO_TEST(f) cmocka_unit_test_setup_teardown(f, open_fifo, close_fifo)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    FIFO_TEST(order_of_adding),       FIFO_TEST(a_late_turn_takes_all),
	    FIFO_TEST(after_all_were_due),    FIFO_TEST(moved_to_the_end),
	    FIFO_TEST(moved_again_and_again), FIFO_TEST(moved_to_another),
	    FIFO_TEST(period_0_is_never),     FIFO_TEST(deleted_before),
	    FIFO_TEST(deleted_in_on_due),     FIFO_TEST(freed_in_on_due),
	    FIFO_TEST(added_again_in_on_due), FIFO_TEST(nothing_is_due_after_close),
	    FIFO_TEST(closed_in_on_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
