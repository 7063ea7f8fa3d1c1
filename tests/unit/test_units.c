#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"

#define BAD UINT64_MAX /* no case has it as its value */

struct unit_case {
	const char *text;
	uint64_t want;
};

static void
run(int (*parse)(uint64_t *, const char *), const struct unit_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t got = BAD;
		int rc = parse(&got, cases[i].text);

		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(rc, cases[i].want == BAD ? -EINVAL : 0);
		if (rc == 0)
			assert_true(got == cases[i].want);
	}
}

static void
durations(void **state)
{
	static const struct unit_case cases[] = {
	    {"0", 0},
	    {"0s", 0},
	    {"250ms", 250},
	    {"5s", 5000},
	    {"30m", 1800000},
	    {"2h", 7200000},
	    {"007s", 7000},
	    {"00", BAD},
	    {"10", BAD},
	    {"", BAD},
	    {"s", BAD},
	    {"5 m", BAD},
	    {" 5m", BAD},
	    {"5m ", BAD},
	    {"-1s", BAD},
	    {"+1s", BAD},
	    {"1e3ms", BAD},
	    {"1.5s", BAD},
	    {"1,5s", BAD},
	    {"0x10s", BAD},
	    {"5S", BAD},
	    {"5d", BAD},
	    {"5msx", BAD},
	    {"5124095576030h", 18446744073708000000U},
	    {"5124095576031h", BAD},
	    {"18446744073709551616ms", BAD},
	    {"99999999999999999999999h", BAD},
	};
	uint64_t max = 0;

	(void)state;
	assert_int_equal(units_duration(&max, "18446744073709551615ms"), 0);
	assert_true(max == UINT64_MAX);
	run(units_duration, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
sizes(void **state)
{
	static const struct unit_case cases[] = {
	    {"0", 0},
	    {"100", 100},
	    {"64k", 65536},
	    {"1m", 1048576},
	    {"64K", BAD},
	    {"1g", BAD},
	    {"1g1", BAD},
	    {"1k1", BAD},
	    {"-1", BAD},
	    {"", BAD},
	    {"k", BAD},
	    {"1 k", BAD},
	    {"0x10", BAD},
	    {"1.5k", BAD},
	    {"1kb", BAD},
	    {"1e3", BAD},
	    {"17592186044415m", 18446744073708503040U},
	    {"17592186044416m", BAD},
	};

	(void)state;
	run(units_size, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
numbers(void **state)
{
	static const struct unit_case cases[] = {
	    {"0", 0},
	    {"12", 12},
	    {"012", 12},
	    {"", BAD},
	    {"-1", BAD},
	    {"+1", BAD},
	    {"1x", BAD},
	    {" 1", BAD},
	    {"1 ", BAD},
	    {"0x1", BAD},
	    {"18446744073709551614", UINT64_MAX - 1},
	    {"18446744073709551616", BAD},
	};

	(void)state;
	run(units_number, cases, sizeof(cases) / sizeof(cases[0]));
}

static void
texts(void **state)
{
	static const struct {
		uint64_t value;
		const char *duration, *size;
	} cases[] = {
	    {0, "0", "0"},
	    {1, "1ms", "1"},
	    {1000, "1s", "1000"},
	    {1024, "1024ms", "1k"},
	    {60000, "1m", "60000"},
	    {3600000, "1h", "3600000"},
	    {1048576, "1048576ms", "1m"},
	    {5400000, "90m", "5400000"},
	};
	char text[UNITS_TEXT];
	uint64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(units_duration_text(text, cases[i].value), cases[i].duration);
		assert_int_equal(units_duration(&back, text), 0);
		assert_true(back == cases[i].value);
		assert_string_equal(units_size_text(text, cases[i].value), cases[i].size);
		assert_int_equal(units_size(&back, text), 0);
		assert_true(back == cases[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durations),
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
