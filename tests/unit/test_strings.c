/* test_strings.c - words as a shell splits them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/strings.h"

static void
words(void **state)
{
	static const struct {
		const char *text, *want; /* each in <>; NULL: it is refused */
	} cases[] = {
	    {"", ""},
	    {" \t ", ""},
	    {"GET k", "<GET><k>"},
	    {"  GET \t k  ", "<GET><k>"},
	    {"EVAL \"return 1\" 0", "<EVAL><return 1><0>"},
	    {"EVAL 'return \"x\"' 0", "<EVAL><return \"x\"><0>"},
	    {"SET k ''", "<SET><k><>"},
	    {"SET k \"\"", "<SET><k><>"},
	    {"a'b c'd\"e f\"g", "<ab cde fg>"},
	    {"\"a\\\"b\\\\c\\n\"", "<a\"b\\c\\n>"},
	    {"'a\\n'", "<a\\n>"},
	    {"a\\ b \\'", "<a b><'>"},
	    {"\"$x `y`\"", "<$x `y`>"},
	    {"'", NULL},
	    {"GET 'k", NULL},
	    {"GET \"k", NULL},
	    {"GET \"k\\\"", NULL},
	    {"GET k\\", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char got[256] = "", **list = NULL;
		int rc = strings_split_words(&list, cases[i].text);

		print_message("%s\n", cases[i].text);
		assert_int_equal(rc, cases[i].want == NULL ? -EINVAL : 0);
		for (size_t n = 0; rc == 0 && list[n] != NULL; n++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "<%s>", list[n]);
		if (rc == 0)
			assert_string_equal(got, cases[i].want);
		strings_free(list);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(words)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
