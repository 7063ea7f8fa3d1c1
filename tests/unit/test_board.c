/*
 * test_board.c - the page that the processes of one program share: who is ahead, who serves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/board.h"

enum { N = 3 };

static void
accept_many(unsigned row, unsigned n)
{
	board_use(row);
	while (n-- > 0)
		board_accepted();
}

static bool
is_ahead(unsigned row)
{
	board_use(row);
	return board_is_ahead();
}

static void
begin(void **state)
{
	unsigned r;

	(void)state;
	assert_int_equal(board_open(N), 0);
	for (r = 0; r < N; r++) {
		board_begins(r);
		board_use(r);
		board_serve(true);
	}
}

/* This must be the first: there is no shared page yet. */
static void
alone_nobody_is_ahead(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		board_accepted();
		assert_false(board_is_ahead());
	}
}

static void
who_has_more_waits_for_the_others(void **state)
{
	begin(state);
	assert_false(is_ahead(0));
	accept_many(0, 2);
	assert_true(is_ahead(0));
	assert_false(is_ahead(1));
	accept_many(1, 2);
	assert_true(is_ahead(0)); /* the third has none */
	accept_many(2, 2);
	assert_false(is_ahead(0));
}

/* However they are taken, a thousand are spread so that the most is at most 1.2 times the least. */
static void
a_thousand_are_spread(void **state)
{
	unsigned n[N] = {0}, i, r;

	begin(state);
	for (i = 0; i < 1000; i++) {
		/* The first worker is always the quickest. */
		for (r = 0; r < N - 1 && is_ahead(r); r++)
			;
		accept_many(r, 1);
		n[r]++;
	}
	for (r = 1; r < N; r++)
		assert_true(n[0] * 10 <= n[r] * 12 && n[r] * 10 <= n[0] * 12);
}

static void
a_new_worker_takes_its_share_and_no_more(void **state)
{
	begin(state);
	accept_many(0, 500);
	accept_many(1, 500);
	accept_many(2, 500);
	board_left(2);
	accept_many(0, 50);
	assert_true(is_ahead(0)); /* of the one that is left */
	board_begins(2);
	board_use(2);
	board_serve(true);
	assert_false(is_ahead(0));
	assert_false(is_ahead(2));
	accept_many(2, 2);
	assert_true(is_ahead(2));
}

static void
one_that_does_not_serve_holds_nobody_up(void **state)
{
	begin(state);
	board_left(1);
	board_left(2);
	accept_many(0, 100);
	assert_false(is_ahead(0));
}

static void
a_mark_tells_of_others_alone(void **state)
{
	uint64_t mark;

	begin(state);
	board_use(0);
	mark = board_others_mark();
	board_accepted();
	assert_int_equal(board_others_mark(), mark);
	accept_many(1, 1);
	board_use(0);
	assert_int_not_equal(board_others_mark(), mark);
}

static bool
finish(unsigned row)
{
	board_use(row);
	return board_finish();
}

static void
only_the_last_one_finds_all_finished(void **state)
{
	begin(state);
	assert_false(finish(2));
	assert_false(finish(0));
	board_begins(0); /* it was replaced */
	assert_false(finish(1));
	assert_true(finish(0));
	begin(state);
	board_left(0);
	board_left(2);
	assert_true(finish(1));
}

static void
the_sum_counts_rows(void **state)
{
	struct board_sum sum;

	begin(state);
	board_use(1);
	board_redis(true);
	board_sum(&sum);
	assert_int_equal(sum.n_workers, N);
	assert_int_equal(sum.n_serving, N);
	assert_int_equal(sum.n_with_redis, 1);
	board_left(1);
	board_sum(&sum);
	assert_int_equal(sum.n_serving, N - 1);
	assert_int_equal(sum.n_with_redis, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alone_nobody_is_ahead),
	    cmocka_unit_test(who_has_more_waits_for_the_others),
	    cmocka_unit_test(a_thousand_are_spread),
	    cmocka_unit_test(a_new_worker_takes_its_share_and_no_more),
	    cmocka_unit_test(one_that_does_not_serve_holds_nobody_up),
	    cmocka_unit_test(a_mark_tells_of_others_alone),
	    cmocka_unit_test(only_the_last_one_finds_all_finished),
	    cmocka_unit_test(the_sum_counts_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
