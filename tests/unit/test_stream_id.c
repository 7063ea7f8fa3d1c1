/*
 * test_stream_id.c - IDs of entries, and cursors of several.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "redis/stream_id.h"

static void
ids(void **state)
{
	static const struct {
		const char *text;
		bool is_id;
		struct stream_id id;
	} cases[] = {
	    {"0-0", true, {0, 0}},
	    {"1700000000000-0", true, {1700000000000, 0}},
	    {"1700000000000", true, {1700000000000, 0}},
	    {"1-18446744073709551615", true, {1, UINT64_MAX}},
	    {"18446744073709551615-18446744073709551615", true, {UINT64_MAX, UINT64_MAX}},
	    {"18446744073709551616-0", false, {0, 0}},
	    {"1-18446744073709551616", false, {0, 0}},
	    {"99999999999999999999-0", false, {0, 0}},
	    {"", false, {0, 0}},
	    {"-", false, {0, 0}},
	    {"1-", false, {0, 0}},
	    {"-1", false, {0, 0}},
	    {"1-2-3", false, {0, 0}},
	    {"01-0", false, {0, 0}},
	    {"1-01", false, {0, 0}},
	    {" 1-1", false, {0, 0}},
	    {"+1-1", false, {0, 0}},
	    {"1-*", false, {0, 0}},
	    {"$", false, {0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stream_id id = {0, 0};

		if (stream_id_parse(&id, cases[i].text, strlen(cases[i].text)) != cases[i].is_id)
			fail_msg("%s", cases[i].text);
		if (cases[i].is_id)
			assert_int_equal(stream_id_compare(&id, &cases[i].id), 0);
	}
}

static void
order(void **state)
{
	static const struct stream_id v[] = {{0, 0}, {0, 1}, {1, 0},
					     {1, 5}, {2, 0}, {UINT64_MAX, 0}};
	const size_t n = sizeof(v) / sizeof(v[0]);

	(void)state;
	for (size_t a = 0; a < n; a++) {
		for (size_t b = 0; b < n; b++)
			assert_int_equal(stream_id_compare(&v[a], &v[b]), (a > b) - (a < b));
	}
}

static void
cursors(void **state)
{
	static const char *const wrong[] = {"1-*,*", "1-*,-*", "1-2-*,1-1",
					    "*,1-1", "1*,1-1", "01-*,1-1"};
	struct stream_id ids[STREAM_CURSOR_MAX], all[STREAM_CURSOR_MAX];
	char text[STREAM_CURSOR_TEXT];
	size_t len;

	(void)state;
	assert_true(stream_cursor_parse(ids, 1, "5-1"));
	assert_true(stream_cursor_parse(ids, 3, "1-1,2-2,3-3"));
	assert_int_equal(stream_cursor_print(text, ids, 3), 11);
	assert_string_equal(text, "1-1,2-2,3-3");
	assert_true(stream_cursor_parse(ids, 2, "1-*,2-3"));
	assert_true(ids[0].ms == 1 && ids[0].seq == UINT64_MAX && ids[1].seq == 3);
	assert_int_equal(stream_cursor_print_short(text, ids, 2), 7);
	assert_string_equal(text, "1-*,2-3");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(stream_cursor_parse(ids, 2, wrong[i]));
	assert_false(stream_cursor_parse(ids, 2, "1-1"));
	assert_false(stream_cursor_parse(ids, 2, "1-1,"));
	assert_false(stream_cursor_parse(ids, 2, "1-1,2-2,3-3"));
	assert_false(stream_cursor_parse(ids, 2, "1-1 2-2"));
	assert_false(stream_cursor_parse(ids, 1, ""));
	for (size_t i = 0; i < STREAM_CURSOR_MAX; i++)
		all[i] = (struct stream_id){UINT64_MAX, UINT64_MAX};
	len = stream_cursor_print(text, all, STREAM_CURSOR_MAX);
	assert_int_equal(len, strlen(text));
	assert_true(stream_cursor_parse(ids, STREAM_CURSOR_MAX, text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ids),
	    cmocka_unit_test(order),
	    cmocka_unit_test(cursors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
