/*
 * test_param_default.c - the rule of a parameter for which the route has none: what is checked and
 * what a refusal says of it must be the same.
 */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/param_rule.h"
#include "route/param_default.h"

static const char *const names[] = {"id", "user", "users", "claim.org", "claim", "cookie"};

enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

static void
every_byte_is_as_the_text_says(void **state)
{
	(void)state;
	for (size_t n = 0; n < N_NAMES; n++) {
		struct param_rule_bytes bytes;
		char why[256];

		assert_int_equal(
		    param_rule_check(param_default_text(names[n]), &bytes, why, sizeof(why)), 0);
		for (int c = 1; c < 256; c++) {
			const char value[] = {'a', (char)c, 'z', '\0'};

			assert_int_equal(param_default_ok(names[n], value), bytes.has[c]);
		}
	}
}

static void
every_length_is_as_the_text_says(void **state)
{
	static const size_t lens[] = {0, 1, 2, 127, 128, 129, 1000};
	char value[1001], why[256];
	regex_t regex;

	(void)state;
	for (size_t n = 0; n < N_NAMES; n++) {
		assert_int_equal(
		    param_rule_compile(&regex, param_default_text(names[n]), why, sizeof(why)), 0);
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			memset(value, 'x', lens[i]);
			value[lens[i]] = '\0';
			assert_int_equal(param_default_ok(names[n], value),
					 regexec(&regex, value, 0, NULL, 0) == 0);
			assert_int_equal(param_default_ok(names[n], value),
					 lens[i] >= 1 && lens[i] <= 128);
		}
		regfree(&regex);
	}
}

static void
who_asks_may_be_an_address(void **state)
{
	static const struct {
		const char *name, *value;
		bool ok;
	} cases[] = {
	    {"user", "auth0|ann+x@example.com", true},
	    {"claim.org", "a@b", true},
	    {"cookie", "a,b-c", true},
	    {"users", "a@b", false}, /* no other name that begins so */
	    {"claim", "a@b", false},
	    {"cookie", "a@b", false},
	    {"id", "a,b", false},
	    {"id", "a:b", false}, /* would end a name early */
	    {"user", "a*", false},
	    {"id", "a\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(param_default_ok(cases[i].name, cases[i].value), cases[i].ok);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_byte_is_as_the_text_says),
	    cmocka_unit_test(every_length_is_as_the_text_says),
	    cmocka_unit_test(who_asks_may_be_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
