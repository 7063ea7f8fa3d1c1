/*
 * test_cursor.c - the id of an event is never longer than one may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/cursor.h"
#include "sse/event.h"

static struct cursor
six_streams(bool is_of_user)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	struct cursor c = {0};

	for (size_t i = 0; i < STREAM_CURSOR_MAX; i++)
		cursor_add(&c, names[i], is_of_user);
	return c;
}

/* What is printed is read again, by those who may. */
static void
long_ids(void **state)
{
	static const struct {
		const char *name;
		struct stream_id id;
		enum cursor_said is;
	} cases[] = {
	    {"today's", {1795915281838, 0}, CURSOR_OURS},
	    {"many in a millisecond", {1795915281838, 99999}, CURSOR_OURS},
	    {"before an entry", {1795915281838, UINT64_MAX}, CURSOR_OURS},
	    {"of nanoseconds", {1795915281838000000, 0}, CURSOR_UNKNOWN},
	    {"the last", {UINT64_MAX, UINT64_MAX - 1}, CURSOR_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cursor c = six_streams(i % 2 == 1);
		struct stream_id ids[STREAM_CURSOR_MAX], again[STREAM_CURSOR_MAX];
		char text[CURSOR_TEXT];
		size_t len;

		for (size_t k = 0; k < c.n; k++)
			ids[k] = cases[i / 2].id;
		len = cursor_print(text, c.whose, ids, c.n);
		if (len != strlen(text) || len > EVENT_ID_MAX)
			fail_msg("%s: %zu bytes", cases[i / 2].name, len);
		if (cursor_parse(again, &c, text) != cases[i / 2].is)
			fail_msg("%s: %s", cases[i / 2].name, text);
		if (cases[i / 2].is == CURSOR_OURS)
			assert_memory_equal(again, ids, sizeof(ids));
	}
}

static void
few_ids(void **state)
{
	const struct stream_id ids[] = {{5, UINT64_MAX}, {7, 1}};
	char text[CURSOR_TEXT];

	(void)state;
	cursor_print(text, "", ids, 2);
	assert_string_equal(text, "5-18446744073709551615,7-1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(long_ids),
	    cmocka_unit_test(few_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
