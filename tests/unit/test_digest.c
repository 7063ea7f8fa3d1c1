/*
 * Names as six characters: whose an id is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/digest.h"

static void
digest_of(char text[DIGEST_TEXT + 1], const char *const *names)
{
	uint64_t digest = 0;

	for (; *names != NULL; names++)
		digest = digest_add(digest, *names);
	digest_put(text, digest);
}

/* Other names, another order, and another cut between two names make another digest. */
static void
other_names(void **state)
{
	static const char *const lists[][3] = {
	    {"inbox:ada"},
	    {"inbox:adb"},
	    {"inbox:ad", "a"},
	    {"inbox:", "ada"},
	    {"a", "b"},
	    {"b", "a"},
	    {"ab"},
	    {""},
	};
	enum { N = sizeof(lists) / sizeof(lists[0]) };
	char text[N][DIGEST_TEXT + 1];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		digest_of(text[i], lists[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(text[i], text[k]);
	}
}

/* The same on every machine, in every version: a page may come back to another. */
static void
the_same_everywhere(void **state)
{
	static const char *const names[] = {"inbox:ada", NULL};
	char text[DIGEST_TEXT + 1];

	(void)state;
	digest_of(text, names);
	assert_string_equal(text, "f7p9h3");
	assert_int_equal(strlen(text), DIGEST_TEXT);
}

/* Ten thousand users: hardly two share one. */
static void
many_users(void **state)
{
	static char text[10000][DIGEST_TEXT + 1];
	unsigned n_equal = 0;

	(void)state;
	for (size_t i = 0; i < 10000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "inbox:%zu", i);
		digest_put(text[i], digest_add(0, name));
		for (size_t k = 0; k < i; k++)
			n_equal += strcmp(text[i], text[k]) == 0;
	}
	assert_in_range(n_equal, 0, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(other_names),
	    cmocka_unit_test(the_same_everywhere),
	    cmocka_unit_test(many_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
