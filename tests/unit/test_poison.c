/*
 * test_poison.c - which message each worker has in work, and which have killed two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/poison.h"

enum { N = 3 };

static struct poison_work
entry(const char *route, const char *subject, const char *id)
{
	return (struct poison_work){.route = route,
				    .subject = subject,
				    .subject_len = strlen(subject),
				    .id = id,
				    .id_len = strlen(id),
				    .data = "whatever",
				    .data_len = 8};
}

static struct poison_work
message(const char *subject, const char *data, size_t len)
{
	return (struct poison_work){.route = "r",
				    .subject = subject,
				    .subject_len = strlen(subject),
				    .data = data,
				    .data_len = len};
}

static void
begin(void)
{
	assert_int_equal(poison_open(N), 0);
	poison_use(0);
	poison_watch(true);
}

static uint64_t now_ms; /* the clock */

/* A worker dies at it. Returns how many have by now. */
static unsigned
die_at(unsigned row, const struct poison_work *work)
{
	unsigned n = 0;

	poison_use(row);
	assert_int_equal(poison_begin(work), POISON_NONE);
	assert_non_null(poison_died(row, "signal 6", now_ms, &n));
	return n;
}

/* What is shared between the processes: one mapping of this one's, without a file. */
static char *
find_shared(const void *what, size_t what_len)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], *found = NULL, *dash;

	assert_non_null(maps);
	while (found == NULL && fgets(line, sizeof(line), maps) != NULL) {
		uintptr_t from = strtoull(line, &dash, 16), to = strtoull(dash + 1, NULL, 16);

		if (strstr(line, " rw-s ") != NULL)
			found = memmem((void *)from, to - from, what, what_len);
	}
	fclose(maps);
	return found;
}

/* A worker that has written where it should not leaves a mark of any form. */
static void
a_broken_mark(void **state)
{
	const struct poison_work work = message("a subject of this test alone", "x", 1);
	const struct poison *died = NULL;
	struct poison *mark;
	unsigned n = 0;

	(void)state;
	begin();
	for (unsigned row = 1; row < N; row++) {
		poison_use(row);
		assert_int_equal(poison_begin(&work), POISON_NONE);
		mark = (struct poison *)(void *)(find_shared(work.subject, work.subject_len) -
						 offsetof(struct poison, subject));
		mark->subject_len = mark->id_len = mark->kept_len = UINT32_MAX;
		memset(mark->route, 'r', sizeof(mark->route));
		memset(mark->id, 'i', sizeof(mark->id));
		died = poison_died(row, "signal 11", now_ms, &n);
		assert_non_null(died);
		assert_int_equal(strlen(died->route), POISON_ROUTE - 1);
		assert_int_equal(strlen(died->id), POISON_ID - 1);
		memset(mark, 0, sizeof(*mark));
	}
	assert_int_equal(n, 2);
}

/* This must be the first: there is no page yet. */
static void
alone_nothing_is_marked(void **state)
{
	struct poison_work work = entry("r", "s", "1-1");

	(void)state;
	poison_watch(true);
	assert_int_equal(poison_begin(&work), POISON_NONE);
	poison_end();
	assert_null(poison_take());
}

static void
what_is_done_was_not_in_work(void **state)
{
	struct poison_work work = entry("r", "s", "1-1");
	unsigned n = 0;

	(void)state;
	begin();
	assert_null(poison_died(0, "x", now_ms, &n));
	assert_int_equal(poison_begin(&work), POISON_NONE);
	poison_end();
	assert_null(poison_died(0, "x", now_ms, &n));
	assert_int_equal(die_at(0, &work), 1);
	assert_null(poison_died(0, "x", now_ms, &n)); /* its successor has begun nothing */
}

static void
an_entry_is_poison_at_the_second_death(void **state)
{
	struct poison_work work = entry("r", "s", "1-1");
	struct poison_work others[] = {entry("r", "s", "1-2"), entry("r", "t", "1-1"),
				       entry("q", "s", "1-1"), entry("r", "s1", "-1"),
				       message("s", "1-1", 3)};
	const struct poison *p;
	size_t i;

	(void)state;
	begin();
	assert_int_equal(die_at(0, &work), 1);
	assert_int_equal(poison_begin(&work), POISON_NONE);
	poison_end();
	assert_null(poison_take());
	assert_int_equal(die_at(1, &work), 2);
	poison_use(2);
	assert_int_equal(poison_begin(&work), POISON_UNTOLD);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(poison_begin(&others[i]), POISON_NONE);
		poison_end();
	}
	p = poison_take();
	assert_non_null(p);
	assert_string_equal(p->route, "r");
	assert_string_equal(p->subject, "s");
	assert_string_equal(p->id, "1-1");
	assert_string_equal(p->reason, "signal 6");
	assert_null(poison_take()); /* one teller */
	assert_int_equal(poison_begin(&work), POISON_UNTOLD);
	poison_put(p, true);
	assert_int_equal(poison_begin(&work), POISON_TOLD);
	assert_null(poison_take());
}

/* Both had it in work at the same time, and a third, too: it is put there once. */
static void
three_at_once(void **state)
{
	struct poison_work work = entry("r", "s", "1-1");
	const struct poison *p;
	unsigned row, n = 0;

	(void)state;
	begin();
	for (row = 0; row < N; row++) {
		poison_use(row);
		assert_int_equal(poison_begin(&work), POISON_NONE);
	}
	for (row = 0; row < N; row++) {
		assert_non_null(poison_died(row, "x", now_ms, &n));
		assert_int_equal(n, row + 1);
	}
	assert_non_null(p = poison_take());
	poison_put(p, true);
	assert_null(poison_take());
}

static void
what_has_no_id_is_known_by_its_bytes(void **state)
{
	static char long_one[POISON_DATA + 10], long_two[POISON_DATA + 10];
	struct poison_work work = message("c", "a\0b", 3), other = message("c", "a\0c", 3);
	struct poison_work empty = message("c", "", 0);
	struct poison_work big = message("c", long_one, sizeof(long_one));
	struct poison_work shorter = message("c", long_one, sizeof(long_one) - 1);
	struct poison_work differs = message("c", long_two, sizeof(long_two));
	const struct poison *p;

	(void)state;
	long_two[5] = 'x';
	begin();
	die_at(0, &work);
	die_at(0, &work);
	die_at(1, &big);
	die_at(1, &big);
	assert_int_equal(poison_begin(&work), POISON_UNTOLD);
	assert_int_equal(poison_begin(&other), POISON_NONE);
	assert_int_equal(poison_begin(&empty), POISON_NONE);
	assert_int_equal(poison_begin(&big), POISON_UNTOLD);
	assert_int_equal(poison_begin(&shorter), POISON_NONE);
	assert_int_equal(poison_begin(&differs), POISON_NONE);
	p = poison_take();
	assert_int_equal(p->kept_len, 3);
	assert_memory_equal(p->data, "a\0b", 3);
	p = poison_take();
	assert_int_equal(p->kept_len, POISON_DATA);
	assert_int_equal(p->data_len, sizeof(long_one));
}

static void
who_dies_while_it_tells_gives_it_back(void **state)
{
	struct poison_work work = entry("r", "s", "1-1");
	const struct poison *p;
	unsigned n;

	(void)state;
	begin();
	die_at(0, &work);
	die_at(0, &work);
	poison_use(1);
	assert_non_null(p = poison_take());
	assert_null(poison_died(0, "x", now_ms, &n));
	assert_null(poison_take()); /* it was another that died */
	assert_null(poison_died(1, "x", now_ms, &n));
	assert_ptr_equal(poison_take(), p);
	poison_put(p, false); /* Redis did not take it */
	assert_ptr_equal(poison_take(), p);
}

/* Of many the oldest that is told makes room. */
static void
many(void **state)
{
	const struct poison *p;
	char id[POISON_ID];
	unsigned i, n_new = 0;

	(void)state;
	begin();
	for (i = 0; i < 3 * POISON_MAX; i++) {
		struct poison_work work;

		snprintf(id, sizeof(id), "%u-1", i);
		work = entry("r", "s", id);
		die_at(0, &work);
		die_at(0, &work);
		assert_non_null(p = poison_take());
		assert_string_equal(p->id, id);
		poison_put(p, true);
	}
	for (i = 0; i < 3 * POISON_MAX; i++) {
		struct poison_work work;

		snprintf(id, sizeof(id), "%u-1", i);
		work = entry("r", "s", id);
		n_new += poison_begin(&work) == POISON_TOLD;
		poison_end();
	}
	assert_int_equal(n_new, POISON_MAX);
}

/* While none can be told, one more than there is room for kills once more, and is known later. */
static void
no_room_for_what_is_untold(void **state)
{
	struct poison_work last = entry("r", "s", "99-1");
	const struct poison *p;
	char id[POISON_ID];
	unsigned i;

	(void)state;
	begin();
	for (i = 0; i < POISON_MAX; i++) {
		struct poison_work work;

		snprintf(id, sizeof(id), "%u-1", i);
		work = entry("r", "s", id);
		die_at(0, &work);
		die_at(0, &work);
	}
	die_at(0, &last);
	die_at(0, &last);
	assert_int_equal(poison_begin(&last), POISON_NONE);
	poison_end();
	assert_non_null(p = poison_take());
	poison_put(p, true);
	assert_int_equal(die_at(0, &last), 3);
	assert_int_equal(poison_begin(&last), POISON_UNTOLD);
}

static void
a_suspect_is_forgotten_after_a_while(void **state)
{
	struct poison_work first = entry("r", "s", "1-1"), other = entry("r", "s", "2-1");

	(void)state;
	begin();
	assert_int_equal(die_at(0, &first), 1);
	now_ms += POISON_FORGET_MS - 1;
	assert_int_equal(die_at(0, &other), 1);
	now_ms++;
	assert_int_equal(die_at(1, &first), 1); /* by chance again, and a year from now once more */
	now_ms += POISON_FORGET_MS - 2;
	assert_int_equal(die_at(0, &other), 2);
	assert_int_equal(poison_begin(&other), POISON_UNTOLD);
	now_ms += 2 * (uint64_t)POISON_FORGET_MS; /* what is known is not forgotten */
	assert_int_equal(die_at(0, &first), 1);
	assert_int_equal(poison_begin(&other), POISON_UNTOLD);
}

/* Of many suspects the one whose death is longest ago makes room. */
static void
many_suspects(void **state)
{
	struct poison_work work[POISON_MAX + 1];
	char ids[POISON_MAX + 1][16];
	unsigned i;

	(void)state;
	begin();
	for (i = 0; i <= POISON_MAX; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%u-0", i + 1);
		work[i] = entry("r", "s", ids[i]);
	}
	for (i = 0; i < POISON_MAX; i++, now_ms++)
		assert_int_equal(die_at(0, &work[i]), 1);
	assert_int_equal(die_at(0, &work[0]), 2);
	now_ms++;
	assert_int_equal(die_at(0, &work[POISON_MAX]), 1); /* in the place of the second */
	now_ms++;
	assert_int_equal(die_at(0, &work[2]), 2);
	assert_int_equal(die_at(0, &work[1]), 1);
}

static void
what_is_too_long_is_not_marked(void **state)
{
	static char subject[POISON_SUBJECT + 1];
	struct poison_work work;
	unsigned n;

	(void)state;
	begin();
	memset(subject, 's', POISON_SUBJECT);
	work = entry("r", subject, "1-1");
	assert_int_equal(poison_begin(&work), POISON_NONE);
	assert_null(poison_died(0, "x", now_ms, &n));
}

static void
unwatched_nothing_is_marked(void **state)
{
	struct poison_work work = entry("r", "s", "1-1");
	unsigned n;

	(void)state;
	begin();
	poison_watch(false);
	assert_int_equal(poison_begin(&work), POISON_NONE);
	assert_null(poison_died(0, "x", now_ms, &n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alone_nothing_is_marked),
	    cmocka_unit_test(what_is_done_was_not_in_work),
	    cmocka_unit_test(an_entry_is_poison_at_the_second_death),
	    cmocka_unit_test(three_at_once),
	    cmocka_unit_test(what_has_no_id_is_known_by_its_bytes),
	    cmocka_unit_test(who_dies_while_it_tells_gives_it_back),
	    cmocka_unit_test(many),
	    cmocka_unit_test(no_room_for_what_is_untold),
	    cmocka_unit_test(a_suspect_is_forgotten_after_a_while),
	    cmocka_unit_test(many_suspects),
	    cmocka_unit_test(what_is_too_long_is_not_marked),
	    cmocka_unit_test(unwatched_nothing_is_marked),
	    cmocka_unit_test(a_broken_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
