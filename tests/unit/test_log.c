/*
 * test_log.c - the feed's log: what is held, what is freed, what a cursor reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/log.h"

/* A frame of n bytes: n >= 3. */
static void
put_frame(struct log *lg, size_t n, char fill)
{
	char *frame = malloc(n);

	assert_non_null(frame);
	memset(frame, fill, n);
	frame[n - 2] = frame[n - 1] = '\n';
	assert_int_equal(log_append(lg, frame, n), 0);
	free(frame);
}

static void
nothing_is_held_without_readers(void **state)
{
	struct log lg;

	(void)state;
	log_init(&lg, &wire_event_stream);
	put_frame(&lg, 100, 'a');
	assert_int_equal(lg.n_bytes, 0);
	assert_int_equal(lg.end, 100);
	log_fini(&lg);
}

static void
bytes_are_freed_when_all_have_passed(void **state)
{
	struct log lg;
	uint64_t a, b;

	(void)state;
	log_init(&lg, &wire_event_stream);
	a = log_enter(&lg);
	b = log_enter(&lg);
	put_frame(&lg, 500, 'a');
	put_frame(&lg, 5000, 'b');
	assert_int_equal(lg.n_bytes, 5500);
	log_move(&lg, a, lg.end);
	assert_int_equal(lg.n_bytes, 5500);
	log_move(&lg, b, 500); /* the first frame's chunk is passed by both */
	assert_int_equal(lg.n_bytes, 5000);
	log_leave(&lg, 500);
	assert_int_equal(lg.n_bytes, 0);
	assert_int_equal(lg.n_at_end, 1);
	log_leave(&lg, lg.end);
	assert_int_equal(lg.n_at_end, 0);
	log_fini(&lg);
}

static void
a_cursor_reads_what_was_appended(void **state)
{
	struct iovec iov[4];
	struct log lg;
	uint64_t at;
	int n = 4;

	(void)state;
	log_init(&lg, &wire_event_stream);
	put_frame(&lg, 10, 'x'); /* before the cursor: not its business */
	at = log_enter(&lg);
	put_frame(&lg, 1000, 'a');
	put_frame(&lg, 2000, 'b');
	assert_int_equal(log_gather(&lg, at, lg.end, iov, &n), 3000);
	assert_int_equal(n, 2);
	assert_int_equal(((char *)iov[0].iov_base)[0], 'a');
	assert_int_equal(((char *)iov[1].iov_base)[0], 'b');
	n = 1;
	assert_int_equal(log_gather(&lg, at + 5, at + 9, iov, &n), 4);
	log_leave(&lg, at);
	log_fini(&lg);
}

static void
boundaries_are_found(void **state)
{
	static const struct {
		const char *name;
		uint64_t at, want;
	} cases[] = {
	    {"the first byte", 0, 0},    {"within the first", 1, 10},
	    {"its last byte", 9, 10},    {"between its line ends", 8, 10},
	    {"the second", 10, 10},      {"within the second", 11, 13},
	    {"the third", 13, 13},       {"in another chunk", 5000, 5000},
	    {"within that", 5001, 9000}, {"the end", 9000, 9000},
	};
	struct log lg;
	uint64_t at;
	size_t i;

	(void)state;
	log_init(&lg, &wire_event_stream);
	at = log_enter(&lg);
	put_frame(&lg, 10, 'a');
	put_frame(&lg, 3, 'b');
	put_frame(&lg, 4987, 'c');
	put_frame(&lg, 4000, 'd');
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (log_boundary(&lg, cases[i].at) != cases[i].want)
			fail_msg("%s: wanted %d, got %d", cases[i].name, (int)cases[i].want,
				 (int)log_boundary(&lg, cases[i].at));
	}
	log_leave(&lg, at);
	log_fini(&lg);
}

/* One that stays behind, and moves by what gives memory back: it has no more than that to spare. */
static void
a_log_that_is_never_empty_stays_small(void **state)
{
	enum { HELD = 16 * 1024, FRAME = 200, MOST = HELD + HELD / 4 + FRAME };
	struct log lg;
	uint64_t at;
	int i;

	(void)state;
	log_init(&lg, &wire_event_stream);
	at = log_enter(&lg);
	for (i = 0; i < 2000; i++) {
		put_frame(&lg, FRAME, 'a');
		while (lg.end - at > HELD) {
			uint64_t next = log_next_chunk(&lg, at);

			assert_int_equal(next, log_boundary(&lg, next));
			log_move(&lg, at, next);
			at = next;
			assert_true(lg.end - at > HELD / 2);
		}
		assert_true(lg.n_bytes <= MOST);
	}
	assert_int_equal(log_next_chunk(&lg, lg.end), lg.end);
	log_leave(&lg, at);
	log_fini(&lg);
}

/* Whatever cursors do, each reads every byte once and in order, and nothing is left. */
static void
random_cursors_read_all(void **state)
{
	enum { N_CURSORS = 20, N_STEPS = 20000 };
	uint64_t at[N_CURSORS];
	unsigned seed = 1;
	struct log lg;
	int i, step;

	(void)state;
	log_init(&lg, &wire_event_stream);
	for (i = 0; i < N_CURSORS; i++)
		at[i] = log_enter(&lg);
	for (step = 0; step < N_STEPS; step++) {
		struct iovec iov[3];
		uint64_t to;
		int n = 3, k = (int)((unsigned)rand_r(&seed) % N_CURSORS);
		size_t len;

		if (rand_r(&seed) % 3 == 0)
			put_frame(&lg, 3 + (size_t)rand_r(&seed) % 3000, 'f');
		to = at[k] + (uint64_t)rand_r(&seed) % 5000;
		if (to > lg.end || rand_r(&seed) % 4 == 0)
			to = lg.end;
		len = log_gather(&lg, at[k], to, iov, &n);
		if (len == 0)
			continue;
		log_move(&lg, at[k], at[k] + len);
		at[k] += len;
		if (rand_r(&seed) % 50 == 0) { /* it leaves, and another enters */
			log_leave(&lg, at[k]);
			at[k] = log_enter(&lg);
		}
	}
	for (i = 0; i < N_CURSORS; i++)
		log_leave(&lg, at[i]);
	assert_int_equal(lg.n_bytes, 0);
	assert_int_equal(lg.n_at_end, 0);
	assert_true(list_is_empty(&lg.chunks));
	log_fini(&lg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_held_without_readers),
	    cmocka_unit_test(bytes_are_freed_when_all_have_passed),
	    cmocka_unit_test(a_cursor_reads_what_was_appended),
	    cmocka_unit_test(boundaries_are_found),
	    cmocka_unit_test(a_log_that_is_never_empty_stays_small),
	    cmocka_unit_test(random_cursors_read_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
