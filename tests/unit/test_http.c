/*
 * test_http.c - what the doctor takes of an answer, whole or hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/http.h"

enum { BODY_MAX = 4096, PATIENCE_MS = 30000 };

struct answer_case {
	const char *chunks, *body;
	bool is_cut;
};

static void
take(struct http_exchange *x, const char *chunks)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	int ends[2];

	memset(x, 0, sizeof(*x));
	buf_init(&x->raw, BODY_MAX);
	buf_init(&x->body, BODY_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	x->fd = ends[0];
	assert_int_equal(write(ends[1], head, strlen(head)), strlen(head));
	assert_int_equal(write(ends[1], chunks, strlen(chunks)), strlen(chunks));
	close(ends[1]);
	http_run(&x, 1, PATIENCE_MS, NULL, NULL);
}

static void
chunks(void **state)
{
	static const struct answer_case cases[] = {
	    {"5\r\nhello\r\n0\r\n\r\n", "hello", false},
	    {"5;a=b\r\nhello\r\n000\r\n\r\n", "hello", false},
	    {"A\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n", "0123456789a", false},
	    {"5\r\nhello", "hello", true},
	    {"5\r\nhel", "hel", true},
	    /* What is no size is no end either, and the next line is none of its. */
	    {"zz\r\nhello\r\n0\r\n\r\n", "", true},
	    {" \n5\r\nhello\r\n0\r\n\r\n", "", true},
	    {"-1\r\nhello\r\n0\r\n\r\n", "", true},
	    {"fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "", true},
	    {" \n", "", true},
	    {"\r\n\r\n", "", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_exchange x;

		print_message("case %zu\n", i);
		take(&x, cases[i].chunks);
		assert_true(x.is_ended);
		assert_int_equal(x.status, 200);
		assert_int_equal(x.is_cut, cases[i].is_cut);
		assert_int_equal(x.body.len, strlen(cases[i].body));
		if (x.body.len > 0)
			assert_memory_equal(x.body.p, cases[i].body, x.body.len);
		http_fini(&x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(chunks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
