#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/address.h"

static void
parse(void **state)
{
	static const struct {
		const char *text, *as; /* NULL: it is none */
	} cases[] = {
	    {"127.0.0.1", "::ffff:127.0.0.1"},
	    {"::ffff:127.0.0.1", "::ffff:127.0.0.1"},
	    {"2001:DB8::1", "2001:db8::1"},
	    {"::", "::"},
	    {"", NULL},
	    {"127.0.0.1 ", NULL},
	    {"127.0.0.256", NULL},
	    {"127.1", NULL},
	    {"localhost", NULL},
	    {"[::1]", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct in6_addr addr;
		char text[INET6_ADDRSTRLEN];
		int rc = address_parse(&addr, cases[i].text);

		assert_int_equal(rc, cases[i].as != NULL ? 0 : -EINVAL);
		if (rc == 0)
			assert_string_equal(inet_ntop(AF_INET6, &addr, text, sizeof(text)),
					    cases[i].as);
	}
}

static void
split(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *host;
		bool is_bracketed;
		uint16_t port;
	} cases[] = {
	    {"localhost:9000", 0, "localhost", false, 9000},
	    {"[::1]:1", 0, "::1", true, 1},
	    {"::1:65535", 0, "::1", false, 65535},
	    {"a:0", -ERANGE, NULL, false, 0},
	    {"a:65536", -ERANGE, NULL, false, 0},
	    {"a:+1", -ERANGE, NULL, false, 0},
	    {"a:", -ERANGE, NULL, false, 0},
	    {":1", -EINVAL, NULL, false, 0},
	    {"a", -EINVAL, NULL, false, 0},
	    {"", -EINVAL, NULL, false, 0},
	    {"123456789012345:1", 0, "123456789012345", false, 1},
	    {"1234567890123456:1", -EINVAL, NULL, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char host[16];
		bool is_bracketed;
		uint16_t port;
		int rc = address_split(cases[i].text, host, sizeof(host), &is_bracketed, &port);

		assert_int_equal(rc, cases[i].rc);
		if (rc < 0)
			continue;
		assert_string_equal(host, cases[i].host);
		assert_int_equal(is_bracketed, cases[i].is_bracketed);
		assert_int_equal(port, cases[i].port);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse),
	    cmocka_unit_test(split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
