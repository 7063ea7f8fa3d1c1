#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cli/http.h"

struct url_case {
	const char *text;
	bool is_url, is_tls;
	const char *host, *port, *path;
};

static void
urls(void **state)
{
	static const struct url_case cases[] = {
	    {"http://localhost", true, false, "localhost", "80", ""},
	    {"https://example.org/events/", true, true, "example.org", "443", "/events"},
	    {"HTTP://a:8080/x/y?z#f", true, false, "a", "8080", "/x/y"},
	    {"http://[::1]:81/e", true, false, "::1", "81", "/e"},
	    {"https://[::1]", true, true, "::1", "443", ""},
	    {"http://a?x=/y", true, false, "a", "80", ""},
	    {"http://a///", true, false, "a", "80", ""},
	    {.text = "http://"},
	    {.text = "http://:80"},
	    {.text = "http://a:"},
	    {.text = "http://a:8x"},
	    {.text = "http://[::1"},
	    {.text = "http://[::1]x"},
	    {.text = "http://user@a/"},
	    {.text = "http://a/b c"},
	    {.text = "ftp://a/"},
	    {.text = "a"},
	    {.text = ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_url got;

		print_message("\"%s\"\n", cases[i].text);
		assert_int_equal(http_url_parse(&got, cases[i].text), cases[i].is_url);
		if (!cases[i].is_url)
			continue;
		assert_int_equal(got.is_tls, cases[i].is_tls);
		assert_string_equal(got.host, cases[i].host);
		assert_string_equal(got.port, cases[i].port);
		assert_string_equal(got.path, cases[i].path);
	}
}

/* A name, a port or a path that has no room is none. */
static void
too_long(void **state)
{
	static const char *const heads[] = {"http://", "http://a:", "http://a/"};
	char text[4096];
	struct http_url got;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t len = strlen(heads[i]);

		memset(text, '1', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		memcpy(text, heads[i], len);
		assert_false(http_url_parse(&got, text));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(urls), cmocka_unit_test(too_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
