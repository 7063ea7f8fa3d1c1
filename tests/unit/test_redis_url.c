/*
 * test_redis_url.c - what a Redis URL may look like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "redis/settings.h"

static const char *
shown(const char *text)
{
	return text != NULL ? text : "(none)";
}

static void
describe(char *out, size_t max, const struct redis_url *url)
{
	snprintf(out, max, "%s %d %s user=%s password=%s db=%d", shown(url->host), url->port,
		 shown(url->path), shown(url->user), shown(url->password), url->db);
}

#define NO_LOGIN "user=(none) password=(none)"

static void
test_accepted(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
	    {"host", "redis://h", "h 6379 (none) " NO_LOGIN " db=0"},
	    {"host and slash", "redis://h/", "h 6379 (none) " NO_LOGIN " db=0"},
	    {"port", "redis://h:1", "h 1 (none) " NO_LOGIN " db=0"},
	    {"highest port", "redis://h:65535/15", "h 65535 (none) " NO_LOGIN " db=15"},
	    {"database", "redis://h/3", "h 6379 (none) " NO_LOGIN " db=3"},
	    {"IPv4", "redis://127.0.0.1:7/0", "127.0.0.1 7 (none) " NO_LOGIN " db=0"},
	    {"IPv6", "redis://[::1]", "::1 6379 (none) " NO_LOGIN " db=0"},
	    {"IPv6 and port", "redis://[fe80::1%eth0]:7/2",
	     "fe80::1%eth0 7 (none) " NO_LOGIN " db=2"},
	    {"password", "redis://:pw@h", "h 6379 (none) user=(none) password=pw db=0"},
	    {"user and password", "redis://u:pw@h:7/1", "h 7 (none) user=u password=pw db=1"},
	    {"user, the password in a file", "redis://u@h",
	     "h 6379 (none) user=u password=(none) db=0"},
	    {"empty password", "redis://u:@h", "h 6379 (none) user=u password= db=0"},
	    {"colon in a password", "redis://u:a:b@h", "h 6379 (none) user=u password=a:b db=0"},
	    {"at in a password", "redis://u:a@b@h", "h 6379 (none) user=u password=a@b db=0"},
	    {"encoded", "redis://%75%3A:%2f%40%23%25+@h",
	     "h 6379 (none) user=u: password=/@#%+ db=0"},
	    {"socket", "unix:///run/r.sock", "(none) 0 /run/r.sock " NO_LOGIN " db=0"},
	    {"socket and database", "unix:///r?db=4", "(none) 0 /r " NO_LOGIN " db=4"},
	    {"socket and password", "unix://:p@/r", "(none) 0 /r user=(none) password=p db=0"},
	    {"socket, user, password", "unix://u:p@/r?db=1", "(none) 0 /r user=u password=p db=1"},
	    {"at in a socket's path", "unix:///a@b/r", "(none) 0 /a@b/r " NO_LOGIN " db=0"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_url url;
		const char *why;
		char got[512] = "refused";

		if (redis_url_parse(&url, cases[i].text, &why) == 0) {
			describe(got, sizeof(got), &url);
			redis_url_fini(&url);
		}
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: wanted %s, got %s", cases[i].name, cases[i].want, got);
	}
}

static void
test_printed(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"redis://h:7/2", "h:7"},
	    {"rediss://u:p@10.0.0.1", "10.0.0.1:6379"},
	    {"redis://[::1]:7", "[::1]:7"},
	    {"unix:///run/redis.sock", "/run/redis.sock"},
	};
	struct redis_url url;
	const char *why;
	char got[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(redis_url_parse(&url, cases[i].text, &why), 0);
		assert_string_equal(redis_url_print(&url, got, sizeof(got)), cases[i].want);
		redis_url_fini(&url);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *name, *text, *want; /* a part of the reason */
	} cases[] = {
	    {"empty", "", "redis://"},
	    {"no scheme", "localhost:6379", "redis://"},
	    {"another scheme", "http://h", "redis://"},
	    {"TLS without a host", "rediss://", "rediss:// for TLS"},
	    {"no host", "redis://", "redis://"},
	    {"port without host", "redis://:6379", "redis://"},
	    {"database without host", "redis:///0", "redis://"},
	    {"login without host", "redis://u:p@", "redis://"},
	    {"empty login", "redis://@h", "before the @"},
	    {"port 0", "redis://h:0", "port"},
	    {"port 65536", "redis://h:65536", "port"},
	    {"port of ten digits", "redis://h:4294967297", "port"},
	    {"empty port", "redis://h:", "port"},
	    {"negative port", "redis://h:-1", "port"},
	    {"port and space", "redis://h:1 ", "port"},
	    {"bare IPv6", "redis://::1", "redis://"},
	    {"IPv6 not closed", "redis://[::1", "brackets"},
	    {"text after IPv6", "redis://[::1]x", "brackets"},
	    {"empty IPv6", "redis://[]", "redis://"},
	    {"database of letters", "redis://h/x", "database"},
	    {"negative database", "redis://h/-1", "database"},
	    {"two databases", "redis://h/1/2", "database"},
	    {"huge database", "redis://h/99999999999", "database"},
	    {"half an escape", "redis://u:%4@h", "hexadecimal"},
	    {"no hexadecimal digits", "redis://u:%zz@h", "hexadecimal"},
	    {"escape in a user", "redis://%:p@h", "hexadecimal"},
	    {"NUL in a password", "redis://u:a%00b@h", "hexadecimal"},
	    {"relative socket", "unix://run/r", "absolute"},
	    {"no path", "unix://", "absolute"},
	    {"login without path", "unix://u:p@", "absolute"},
	    {"empty login of a socket", "unix://@/r", "before the @"},
	    {"another query", "unix:///r?database=1", "?db=N"},
	    {"socket's database", "unix:///r?db=", "database"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_url url;
		const char *why = NULL;

		if (redis_url_parse(&url, cases[i].text, &why) == 0)
			fail_msg("%s: accepted", cases[i].name);
		if (why == NULL || strstr(why, cases[i].want) == NULL)
			fail_msg("%s: wanted %s, got %s", cases[i].name, cases[i].want, shown(why));
		if (url.host != NULL || url.path != NULL || url.password != NULL)
			fail_msg("%s: something is left", cases[i].name);
	}
}

static void
test_longest_path(void **state)
{
	char text[sizeof("unix://") + 108] = "unix://"; /* zeros behind it */
	struct redis_url url;
	const char *why;

	(void)state;
	memset(text + strlen(text), '/', 107);
	assert_int_equal(redis_url_parse(&url, text, &why), 0);
	redis_url_fini(&url);
	text[sizeof("unix://") - 1 + 107] = '/';
	assert_int_not_equal(redis_url_parse(&url, text, &why), 0);
	assert_non_null(strstr(why, "107"));
}

static struct redis_settings
settings(const char *url, const char *prefix, const char *password_file)
{
	struct redis_settings rs = {.connect_timeout_ms = 1000, .n_urls = 1};
	const char *why;

	rs.urls = calloc(1, sizeof(*rs.urls));
	assert_int_equal(redis_url_parse(rs.urls, url, &why), 0);
	rs.prefix = strdup(prefix);
	rs.password_file = password_file != NULL ? strdup(password_file) : NULL;
	return rs;
}

static void
test_settings_equal(void **state)
{
	static const struct {
		const char *name, *url, *prefix, *password_file;
		bool want;
	} cases[] = {
	    {"same", "redis://u:p@h:1/2", "a:", NULL, true},
	    {"host", "redis://u:p@i:1/2", "a:", NULL, false},
	    {"port", "redis://u:p@h:2/2", "a:", NULL, false},
	    {"user", "redis://v:p@h:1/2", "a:", NULL, false},
	    {"password", "redis://u:q@h:1/2", "a:", NULL, false},
	    {"no password", "redis://u@h:1/2", "a:", NULL, false},
	    {"database", "redis://u:p@h:1/3", "a:", NULL, false},
	    {"socket", "unix://u:p@/h?db=2", "a:", NULL, false},
	    {"prefix", "redis://u:p@h:1/2", "", NULL, false},
	    {"password file", "redis://u:p@h:1/2", "a:", "/f", false},
	};
	struct redis_settings a = settings("redis://u:p@h:1/2", "a:", NULL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct redis_settings b =
		    settings(cases[i].url, cases[i].prefix, cases[i].password_file);

		if (redis_settings_equal(&a, &b) != cases[i].want)
			fail_msg("%s", cases[i].name);
		redis_settings_fini(&b);
	}
	redis_settings_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),       cmocka_unit_test(test_printed),
	    cmocka_unit_test(test_refused),        cmocka_unit_test(test_longest_path),
	    cmocka_unit_test(test_settings_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
