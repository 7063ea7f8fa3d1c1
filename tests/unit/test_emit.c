#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cli/subcommand.h"

static void
json(void **state)
{
	static const struct {
		const char *text;
		int at; /* the byte at which it is refused, or -1 */
	} cases[] = {
	    {"{}", -1},
	    {" {\"a\": [1, -2.5e+3, true, false, null, \"x\"]} \n", -1},
	    {"1", -1},
	    {"0.5E1", -1},
	    {"\"Zo\xc3\xab \\u00eb \\\" \\\\\"", -1},
	    {"null", -1},
	    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	     -1},
	    {"", 0},
	    {"  ", 0},
	    {"{", 1},
	    {"{\"a\":1", 6},
	    {"{} {}", 3},
	    {"1 2", 2},
	    {"[1,]", 3},
	    {"{\"a\":1,}", 7},
	    {"'a'", 0},
	    {"{a:1}", 1},
	    {"NaN", 0},
	    {"nan", 0},
	    {"TRUE", 0},
	    {"Infinity", 0},
	    {"+1", 0},
	    {"// a\n1", 0},
	    {"\"a\nb\"", 2},
	    {"\"a", 2},
	    {"\"\xff\"", 1},
	    {"hello", 0},
	    {"{\"a\\u0000\": 1}", 10},
	    {"[\"\\ud800\"]", 10},
	    {"[01]", 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = 0;
		const char *why = command_refuse_json(cases[i].text, strlen(cases[i].text), &at);

		print_message("%s: %s\n", cases[i].text, why != NULL ? why : "fine");
		if (cases[i].at < 0) {
			assert_null(why);
		} else {
			assert_non_null(why);
			assert_int_equal(at, cases[i].at);
		}
	}
	assert_non_null(command_refuse_json("1\0", 2, &(size_t){0}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
