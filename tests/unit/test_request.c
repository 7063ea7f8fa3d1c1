/*
 * test_request.c - queries and paths as clients and web servers send them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "route/query.h"
#include "route/request.h"

static void
queries_are_decoded_once(void **state)
{
	static const struct {
		const char *text, *a; /* NULL: there is no a */
		int rc;
	} cases[] = {
	    {"", NULL, 0},
	    {"a=1", "1", 0},
	    {"b=2&a=1", "1", 0},
	    {"a", "", 0},
	    {"a=", "", 0},
	    {"=a", NULL, 0},
	    {"&&", NULL, 0},
	    {"a=1+2", "1 2", 0},
	    {"a=1%2B2", "1+2", 0},
	    {"a=%2561", "%61", 0},
	    {"a=b=c", "b=c", 0},
	    {"%61=1", "1", 0},
	    {"a=1&a=2", NULL, -EINVAL},
	    {"a=1&%61=2", NULL, -EINVAL},
	    {"a=%", NULL, -EINVAL},
	    {"a=%2", NULL, -EINVAL},
	    {"a=%zz", NULL, -EINVAL},
	    {"a=%00", NULL, -EINVAL},
	    {"a=%0a", NULL, -EINVAL},
	    {"a=%7f", NULL, -EINVAL},
	    {"a=%ff", NULL, -EINVAL},
	    {"a=%c0%af", NULL, -EINVAL},
	    {"a=%c3%ab", "\xC3\xAB", 0},
	};
	struct query q;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got;
		int rc = query_parse(&q, cases[i].text);

		if (rc != cases[i].rc)
			fail_msg("%s: returned %d", cases[i].text, rc);
		if (rc < 0)
			continue;
		got = query_get(&q, "a");
		if ((got == NULL) != (cases[i].a == NULL) ||
		    (got != NULL && strcmp(got, cases[i].a) != 0))
			fail_msg("%s: got %s", cases[i].text, got != NULL ? got : "nothing");
	}
}

static void
queries_are_bounded(void **state)
{
	char text[QUERY_LEN_MAX * 2] = "";
	struct query q;
	int i;

	(void)state;
	memset(text, 'x', QUERY_LEN_MAX);
	assert_int_equal(query_parse(&q, text), -E2BIG);
	text[0] = '\0';
	for (i = 0; i <= QUERY_PAIRS_MAX; i++)
		sprintf(text + strlen(text), "p%d&", i);
	assert_int_equal(query_parse(&q, text), -E2BIG);
	/* Pairs of one byte grow most. */
	text[0] = '\0';
	for (i = 0; i < QUERY_PAIRS_MAX; i++)
		sprintf(text + strlen(text), "%c%c&", 'a' + i / 10, '0' + i % 10);
	assert_int_equal(query_parse(&q, text), 0);
	assert_int_equal(q.n, QUERY_PAIRS_MAX);
}

static void
requests_are_read_whatever_the_server(void **state)
{
	static const struct {
		const char *name, *base;
		const char *vars[6];
		int status;
		const char *path;
	} cases[] = {
	    {"nginx",
	     "",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=/a/b?x=1", "SCRIPT_NAME=/a/b"},
	     0,
	     "/a/b"},
	    {"lighttpd", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/a/b", "PATH_INFO=/b"}, 0, "/a/b"},
	    {"no REQUEST_URI",
	     "",
	     {"REQUEST_METHOD=GET", "SCRIPT_NAME=/a", "PATH_INFO=/b%41"},
	     0,
	     "/a/b%41"},
	    {"absolute form", "", {"REQUEST_METHOD=GET", "REQUEST_URI=http://h:8/a?b"}, 0, "/a"},
	    {"absolute form without a path",
	     "",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=http://h"},
	     404,
	     NULL},
	    {"base", "/ev", {"REQUEST_METHOD=GET", "REQUEST_URI=/ev/a"}, 0, "/a"},
	    {"base that is longer",
	     "/ev",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=/event/a"},
	     404,
	     NULL},
	    {"without the base", "/ev", {"REQUEST_METHOD=GET", "REQUEST_URI=/a"}, 404, NULL},
	    {"the base alone", "/ev", {"REQUEST_METHOD=GET", "REQUEST_URI=/ev"}, 404, NULL},
	    {"decoded once", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/%2561"}, 0, "/%61"},
	    {"plus stays", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/a+b"}, 0, "/a+b"},
	    {"NUL", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/a%00"}, 400, NULL},
	    {"newline", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/a%0ab"}, 400, NULL},
	    {"raw newline", "", {"REQUEST_METHOD=GET", "SCRIPT_NAME=/a\nb"}, 400, NULL},
	    {"bad escape", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/%zz"}, 400, NULL},
	    {"overlong UTF-8", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/%c0%af"}, 400, NULL},
	    {"dot", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/a/%2e/b"}, 404, NULL},
	    {"dots", "", {"REQUEST_METHOD=GET", "REQUEST_URI=/a/../b"}, 404, NULL},
	    {"no slash", "", {"REQUEST_METHOD=GET", "REQUEST_URI=a"}, 404, NULL},
	    {"star", "", {"REQUEST_METHOD=OPTIONS", "REQUEST_URI=*"}, 404, NULL},
	    {"no method", "", {"REQUEST_URI=/a"}, 400, NULL},
	    {"a parameter twice",
	     "",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=/a?x&x", "QUERY_STRING=x&x"},
	     400,
	     NULL},
	    {"an id with a line end",
	     "",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=/a", "HTTP_LAST_EVENT_ID=a\nb"},
	     400,
	     NULL},
	    {"two ids joined",
	     "",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=/a", "HTTP_LAST_EVENT_ID=1-0, 2-0"},
	     400,
	     NULL},
	    {"empty id",
	     "",
	     {"REQUEST_METHOD=GET", "REQUEST_URI=/a", "HTTP_LAST_EVENT_ID="},
	     0,
	     "/a"},
	};
	static struct request req;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *vars[6];
		struct params params = {.envp = vars};
		const char *why;
		int status;

		memcpy(vars, cases[i].vars, sizeof(vars));
		status = request_read(&req, &params, cases[i].base, &why);
		if (status != cases[i].status)
			fail_msg("%s: %d", cases[i].name, status);
		if (status == 0 && strcmp(request_path(&req), cases[i].path) != 0)
			fail_msg("%s: %s", cases[i].name, request_path(&req));
	}
}

static void
a_slash_in_a_segment_is_no_slash(void **state)
{
	static char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/a%2Fb/c";
	static struct request req;
	char *vars[] = {method, uri, NULL};
	struct params params = {.envp = vars};
	const char *why;

	(void)state;
	assert_int_equal(request_read(&req, &params, "", &why), 0);
	assert_int_equal(req.path.n, 2);
	assert_string_equal(req.path.at[0], "a/b");
}

static void
the_last_event_id_comes_from_the_header_first(void **state)
{
	static char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/a";
	static char query[] = "QUERY_STRING=last_event_id=2-0&lastEventId=3-0";
	static char header[] = "HTTP_LAST_EVENT_ID=1-0";
	static struct request req;
	char *vars[] = {method, uri, query, header, NULL};
	struct params params = {.envp = vars};
	const char *why;

	(void)state;
	assert_int_equal(request_read(&req, &params, "", &why), 0);
	assert_string_equal(req.last_event_id, "1-0");
	vars[3] = NULL;
	assert_int_equal(request_read(&req, &params, "", &why), 0);
	assert_string_equal(req.last_event_id, "2-0");
}

static void
a_long_path_is_refused(void **state)
{
	static char method[] = "REQUEST_METHOD=GET";
	static struct request req;
	char *uri = malloc(REQUEST_PATH_MAX + 100);
	char *vars[] = {method, uri, NULL};
	struct params params = {.envp = vars};
	const char *why;

	(void)state;
	assert_non_null(uri);
	memset(uri, 'a', REQUEST_PATH_MAX + 99);
	memcpy(uri, "REQUEST_URI=/", 13);
	uri[REQUEST_PATH_MAX + 99] = '\0';
	assert_int_equal(request_read(&req, &params, "", &why), 414);
	uri[12 + REQUEST_PATH_MAX] = '\0';
	assert_int_equal(request_read(&req, &params, "", &why), 0);
	free(uri);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queries_are_decoded_once),
	    cmocka_unit_test(queries_are_bounded),
	    cmocka_unit_test(requests_are_read_whatever_the_server),
	    cmocka_unit_test(a_slash_in_a_segment_is_no_slash),
	    cmocka_unit_test(the_last_event_id_comes_from_the_header_first),
	    cmocka_unit_test(a_long_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
