#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "config/keys.h"
#include "base/suggest.h"

static void
distances(void **state)
{
	static const struct {
		const char *a, *b;
		size_t want;
	} cases[] = {
	    {"", "", 0},
	    {"", "abc", 3},
	    {"abc", "abc", 0},
	    {"ABC", "abc", 0},
	    {"chanel", "channel", 1},
	    {"hcannels", "channels", 1}, /* neighbours swapped */
	    {"ca", "abc", 3},            /* optimal string alignment: no edit within a swap */
	    {"kitten", "sitting", 3},
	    {"a", "b", 1},
	    {"ab", "ba", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s, %s\n", cases[i].a, cases[i].b);
		assert_int_equal(suggest_distance(cases[i].a, cases[i].b), cases[i].want);
		assert_int_equal(suggest_distance(cases[i].b, cases[i].a), cases[i].want);
	}
}

static void
long_words(void **state)
{
	char sixty_four[65], sixty_five[66];

	(void)state;
	memset(sixty_four, 'a', 64);
	memset(sixty_five, 'a', 65);
	sixty_four[64] = sixty_five[65] = '\0';
	assert_int_equal(suggest_distance(sixty_four, ""), 64);
	assert_true(suggest_distance(sixty_five, "a") == SIZE_MAX);
	assert_true(suggest_distance("a", sixty_five) == SIZE_MAX);
}

static void
keys(void **state)
{
	static const struct {
		enum config_section section;
		const char *word, *want;
	} cases[] = {
	    {CONFIG_SERVER, "lisen", "listen"},
	    {CONFIG_SERVER, "socketmode", "socket_mode"},
	    {CONFIG_SERVER, "Worker", "workers"},
	    {CONFIG_SERVER, "zzzzzz", NULL},
	    {CONFIG_REDIS, "urls", "url"},
	    {CONFIG_REDIS, "trusted_proxies", NULL},
	    {CONFIG_ROUTE, "chanel", "channels"},
	    {CONFIG_ROUTE, "hartbeat", "heartbeat"},
	    {CONFIG_ROUTE, "parm.id", "param.id"},
	    {CONFIG_ROUTE, "params.x_y", "param.x_y"},
	    {CONFIG_ROUTE, "cors_orgin", "cors_origins"},
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got =
		    config_key_suggest(cases[i].section, cases[i].word, text, sizeof(text));

		print_message("%s\n", cases[i].word);
		if (cases[i].want == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(distances),
	    cmocka_unit_test(long_words),
	    cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
