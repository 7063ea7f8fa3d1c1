#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/counters.h"

static uint64_t
sum_of(enum counter c)
{
	uint64_t sum[COUNTER_MAX];

	memset(sum, 0xA5, sizeof(sum)); /* what stood there before is no part of the sum */
	counters_sum(sum);
	return sum[c];
}

static void
names(void **state)
{
	(void)state;
	for (int c = 0; c < COUNTER_MAX; c++) {
		assert_non_null(counter_texts[c].name);
		assert_int_equal(
		    strspn(counter_texts[c].name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
		    strlen(counter_texts[c].name));
		for (int before = 0; before < c; before++)
			assert_string_not_equal(counter_texts[before].name, counter_texts[c].name);
	}
}

/* This must be the first test that counts: there is no shared page yet. */
static void
before_open(void **state)
{
	(void)state;
	for (int c = 0; c < COUNTER_MAX; c++)
		assert_int_equal(sum_of((enum counter)c), 0);
	counters_add(COUNTER_EVENTS, 3);
	counters_add(COUNTER_SUBSCRIBERS, 2);
	counters_add(COUNTER_SUBSCRIBERS, -1);
	assert_int_equal(sum_of(COUNTER_EVENTS), 3);
	assert_int_equal(sum_of(COUNTER_SUBSCRIBERS), 1);
	counters_use(0);
	assert_int_equal(sum_of(COUNTER_EVENTS), 3);
	assert_int_equal(sum_of(COUNTER_SUBSCRIBERS), 0);
}

/* A worker that counts in its row and is gone. */
static void
work(unsigned row)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		counters_use(row);
		for (int c = 0; c < COUNTER_MAX; c++)
			counters_add((enum counter)c, (int64_t)row + 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
rows_are_shared(void **state)
{
	uint64_t sum[COUNTER_MAX];

	(void)state;
	assert_int_equal(counters_open(3), 0);
	for (int c = 0; c < COUNTER_MAX; c++)
		assert_int_equal(sum_of((enum counter)c), 0);
	for (unsigned row = 0; row < 3; row++)
		work(row);
	counters_sum(sum);
	for (int c = 0; c < COUNTER_MAX; c++)
		assert_int_equal(sum[c], 1 + 2 + 3);
}

/* A successor takes the row over: what there was of the dead worker is no more, what it did stays.
 */
static void
successor(void **state)
{
	uint64_t sum[COUNTER_MAX];

	(void)state;
	assert_int_equal(counters_open(2), 0);
	work(1);
	work(1);
	work(0);
	counters_sum(sum);
	for (int c = 0; c < COUNTER_MAX; c++)
		assert_int_equal(sum[c], c < COUNTER_GAUGES ? 2 + 1 : 2 + 2 + 1);
}

static void
large_sums(void **state)
{
	(void)state;
	assert_int_equal(counters_open(1), 0);
	counters_use(0);
	counters_add(COUNTER_BYTES, INT64_MAX);
	counters_add(COUNTER_BYTES, INT64_MAX);
	counters_add(COUNTER_BYTES, 1);
	assert_true(sum_of(COUNTER_BYTES) == UINT64_MAX);
}

static void
a_route_counts_for_itself_and_for_all(void **state)
{
	struct tally a, b, all, before;
	unsigned ra = counters_of("a"), rb = counters_of("b");

	(void)state;
	assert_int_not_equal(ra, 0);
	assert_int_not_equal(ra, rb);
	assert_int_equal(counters_of("a"), ra); /* whoever asks */
	assert_int_equal(counters_of(NULL), 0);
	counters_tally(0, &before);
	counters_add_of(ra, COUNTER_EVENTS, 2);
	counters_add_of(0, COUNTER_EVENTS, 3);
	counters_refused(ra, 429);
	counters_refused(rb, 418);
	counters_took(ra, 250);
	counters_took(ra, 251);
	counters_took(rb, 60 * 1000 * 1000);
	counters_set_lag(rb, 77);
	counters_tally(ra, &a);
	counters_tally(rb, &b);
	counters_tally(0, &all);
	assert_int_equal(a.n[COUNTER_EVENTS], 2);
	assert_int_equal(b.n[COUNTER_EVENTS], 0);
	assert_int_equal(all.n[COUNTER_EVENTS] - before.n[COUNTER_EVENTS], 5);
	assert_int_equal(counter_statuses[10], 429);
	assert_int_equal(a.refused[10], 1);
	assert_int_equal(b.refused[COUNTER_STATUSES - 1], 1);
	assert_int_equal(all.n[COUNTER_REQUESTS_REFUSED] - before.n[COUNTER_REQUESTS_REFUSED], 2);
	assert_int_equal(a.took[0], 1);
	assert_int_equal(a.took[1], 1);
	assert_int_equal(a.took_us, 501);
	assert_int_equal(b.took[COUNTER_BUCKETS - 1], 1);
	assert_int_equal(b.lag, 77);
}

/* More routes than there is room for count together, and nowhere else. */
static void
a_thousand_routes(void **state)
{
	unsigned seen[256] = {0}, r;
	char name[16];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		r = counters_of(name);
		assert_true(r < 256);
		if (r > 0)
			assert_int_equal(seen[r]++, 0);
		assert_int_equal(counters_of(name), r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(before_open),
	    cmocka_unit_test(names),
	    cmocka_unit_test(rows_are_shared),
	    cmocka_unit_test(successor),
	    cmocka_unit_test(large_sums),
	    cmocka_unit_test(a_route_counts_for_itself_and_for_all),
	    cmocka_unit_test(a_thousand_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
