/* test_answer.c - the bytes of short answers, problem documents and stream heads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/answer.h"

#define COMMON "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

static void
expect(struct answer *a, const char *head, const char *body)
{
	assert_int_equal(answer_end(a), 0);
	assert_int_equal(a->head.len, strlen(head));
	assert_memory_equal(a->head.p, head, a->head.len);
	assert_int_equal(a->body.len, strlen(body));
	if (a->body.len > 0)
		assert_memory_equal(a->body.p, body, a->body.len);
}

static void
answers(void **state)
{
	struct answer a;

	(void)state;
	answer_init(&a);
	answer_begin(&a, HTTP_OK, "application/json");
	answer_field_printf(&a, "Last-Event-ID", "%d-%d", 5, 0);
	answer_printf(&a, "{\"n\":%d}", 1);
	answer_put(&a, "\n", 1);
	expect(&a,
	       "Status: 200 OK\r\nContent-Type: application/json\r\n" COMMON
	       "Last-Event-ID: 5-0\r\nContent-Length: 8\r\n\r\n",
	       "{\"n\":1}\n");
	answer_begin(&a, HTTP_NO_CONTENT, NULL);
	expect(&a, "Status: 204 No Content\r\n" COMMON "\r\n", "");
	answer_begin(&a, HTTP_OK, "text/plain");
	expect(&a,
	       "Status: 200 OK\r\nContent-Type: text/plain\r\n" COMMON "Content-Length: 0\r\n\r\n",
	       "");
	answer_begin_stream(&a, "text/event-stream");
	expect(&a,
	       "Status: 200 OK\r\nContent-Type: text/event-stream\r\n"
	       "Cache-Control: no-store, no-transform\r\nX-Content-Type-Options: nosniff\r\n"
	       "X-Accel-Buffering: no\r\nIncremental: ?1\r\n\r\n",
	       "");
	answer_fini(&a);
}

static void
problems(void **state)
{
	static const struct {
		int status;
		const char *title, *detail;
		unsigned retry_after_s;
		const char *more, *body;
	} cases[] = {
	    {400, "Bad Request", "It must match \"[a-z]\\\".", 0, "",
	     "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
	     "\"detail\":\"It must match \\\"[a-z]\\\\\\\".\"}\n"},
	    {404, "Not Found", "\xc3\xa9\n\x7f", 0, "",
	     "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
	     "\"detail\":\"????\"}\n"},
	    {408, "Request Timeout", NULL, 0, "",
	     "{\"type\":\"about:blank\",\"title\":\"Request Timeout\",\"status\":408}\n"},
	    {429, "Too Many Requests", "x", 0, "Retry-After: 5\r\n",
	     "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,"
	     "\"detail\":\"x\"}\n"},
	    {429, "Too Many Requests", "x", 90, "Retry-After: 90\r\n",
	     "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,"
	     "\"detail\":\"x\"}\n"},
	    {418, "Error", "", 0, "",
	     "{\"type\":\"about:blank\",\"title\":\"Error\",\"status\":418,\"detail\":\"\"}\n"},
	};
	char head[512];
	struct answer a;

	(void)state;
	answer_init(&a);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%d\n", cases[i].status);
		answer_problem(&a, cases[i].status, cases[i].detail, cases[i].retry_after_s);
		snprintf(head, sizeof(head),
			 "Status: %d %s\r\nContent-Type: application/problem+json\r\n" COMMON
			 "%sContent-Length: %zu\r\n\r\n",
			 cases[i].status, cases[i].title, cases[i].more, strlen(cases[i].body));
		expect(&a, head, cases[i].body);
	}
	answer_fini(&a);
}

/* What did not fit is told at the end, whatever comes after it; and the next answer is whole. */
static void
what_does_not_fit(void **state)
{
	char *long_text = calloc(1, ANSWER_BODY_MAX + 1);
	struct answer a;

	(void)state;
	assert_non_null(long_text);
	memset(long_text, 'x', ANSWER_BODY_MAX);
	answer_init(&a);
	answer_begin(&a, HTTP_OK, "text/plain");
	answer_put(&a, "y", 1);
	answer_put(&a, long_text, ANSWER_BODY_MAX);
	answer_put(&a, "z", 1);
	assert_true(answer_end(&a) < 0);
	answer_begin(&a, HTTP_OK, "text/plain");
	answer_field(&a, "A", long_text);
	assert_true(answer_end(&a) < 0);
	answer_begin(&a, HTTP_OK, "text/plain");
	answer_put(&a, long_text, ANSWER_BODY_MAX);
	assert_int_equal(answer_end(&a), 0);
	answer_fini(&a);
	free(long_text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers),
	    cmocka_unit_test(problems),
	    cmocka_unit_test(what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
