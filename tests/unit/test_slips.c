/*
 * test_slips.c - what of other languages stands in a Lua text, and what to write instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "logic/slips.h"

struct slip {
	const char *text, *want; /* NULL: fine */
};

static void
run(const struct slip *cases, size_t n, bool is_file)
{
	for (size_t i = 0; i < n; i++) {
		char why[512] = "fine";
		int rc = slips_check(cases[i].text, is_file, why, sizeof(why));
		const char *want = cases[i].want != NULL ? cases[i].want : "fine";

		if (strcmp(why, want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].text, why, want);
		assert_int_equal(rc, cases[i].want != NULL ? -EINVAL : 0);
	}
}

#define RUN(cases, is_file) run(cases, sizeof(cases) / sizeof((cases)[0]), is_file)

static void
of_expressions(void **state)
{
	static const struct slip cases[] = {
	    {"a ~= b and not c or d // 2 == 1", NULL},
	    {"a != b", "there is no operator \"!=\"; did you mean \"~=\"?"},
	    {"a !== b", "there is no operator \"!==\"; did you mean \"~=\"?"},
	    {"a <> b", "there is no operator \"<>\"; did you mean \"~=\"?"},
	    {"a === b", "there is no operator \"===\"; did you mean \"==\"?"},
	    {"a && b", "there is no operator \"&&\"; did you mean \"and\"?"},
	    {"a || b", "there is no operator \"||\"; did you mean \"or\"?"},
	    {"!a", "there is no operator \"!\"; did you mean \"not\"?"},
	    {"a ? b : c", "there is no operator \"?\"; did you mean \"A and B or C\"?"},
	    {"text == '!= && || === !x ?' -- !=", NULL},
	    {"a & b | c ~ d", NULL},
	    {"math.flor(x)", "there is no \"math.flor\"; did you mean \"math.floor\"?"},
	    {"math.floor(x) + math.pi + math.tointeger(1)", NULL},
	    {"string.match(a, b)", "there is no \"string.match\"; did you mean \"string.find\"?"},
	    {"string.gsub(a, b, c)",
	     "there is no \"string.gsub\"; did you mean \"string.find and string.sub\"?"},
	    {"string.uper(a)", "there is no \"string.uper\"; did you mean \"string.upper\"?"},
	    {"table.zzzzz(a)", "there is no \"table.zzzzz\""},
	    {"message.text:match('x')", NULL},
	    {"message.text:lower():sub(1)", NULL},
	    {"message.string.match", NULL},
	    {"message.math.flor", NULL},
	    {"{string = {match = 1}}.x", NULL},
	    {"({go = function(s) return 1 end}):go()", NULL},
	};

	(void)state;
	RUN(cases, false);
}

static void
of_methods(void **state)
{
	static const struct {
		const char *text;
		bool is_file;
		const char *want;
	} cases[] = {
	    {"message.text:match('x')", false,
	     "there is no \"string.match\"; did you mean \"string.find\"?"},
	    {"message.text:lowr()", false,
	     "there is no \"string.lowr\"; did you mean \"string.lower\"?"},
	    {"message.text:lower():sub(1)", false, "fine"},
	    {"({go = function(s) return 1 end}):go()", false, "fine"},
	    {"return text:gsub('a', 'b')", true,
	     "line 1: there is no \"string.gsub\"; did you mean \"string.find and string.sub\"?"},
	    {"event:message(1) event:after(5) own:method()", true, "fine"},
	    {"local t = {} function t:match(x) return x end return t:match(1)", true, "fine"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char why[512] = "fine";

		(void)slips_look(cases[i].text, cases[i].is_file, why, sizeof(why));
		assert_string_equal(why, cases[i].want);
	}
}

static void
of_scripts(void **state)
{
	static const struct slip cases[] = {
	    {"return function()\n  return a != b\nend",
	     "line 2: there is no operator \"!=\"; did you mean \"~=\"?"},
	    {"\n\nlocal x = math.flor(1)",
	     "line 3: there is no \"math.flor\"; did you mean \"math.floor\"?"},
	    {"event:message(1) event:after(5) own:method()", NULL},
	    {"local t = {} function t:match(x) return x end return t:match(1)", NULL},
	    {"local t = {match = f} return t:match(1)", NULL},
	    {"local string = {match = f} return string.match(1)", NULL},
	    {"string.trim = function(s) return s end", NULL},
	};

	(void)state;
	RUN(cases, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_expressions),
	    cmocka_unit_test(of_methods),
	    cmocka_unit_test(of_scripts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
