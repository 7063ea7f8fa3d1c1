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

static bool
is_a(const void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "a") == 0;
}

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
	    {"utm_source=a&utm_source=b&a=1", "1", 0},
	    {"x[]=1&x[]=2&a=1", "1", 0},
	    {"x=%E9&%E9=x&%=%&a=1", "1", 0},
	    {"%61%00=2&a=1", "1", 0},
	    {"A=1&A=2&a=1", "1", 0},
	};
	struct query q;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got;
		int rc = query_parse(&q, cases[i].text, is_a, NULL);

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
	static char text[QUERY_LEN_MAX * 4] = "a=";
	static struct query q;
	int i;

	(void)state;
	memset(text + 2, 'x', QUERY_LEN_MAX - 1); /* with two NULs one too long */
	assert_int_equal(query_parse(&q, text, is_a, NULL), -E2BIG);
	text[QUERY_LEN_MAX] = '\0';
	assert_int_equal(query_parse(&q, text, is_a, NULL), 0);
	assert_int_equal(strlen(query_get(&q, "a")), QUERY_LEN_MAX - 2);
	/* What does not count takes no room from what does, wherever it stands. */
	text[0] = '\0';
	for (i = 0; i < 2000; i++)
		sprintf(text + strlen(text), "%c%c&", 'a' + i / 10 % 26, '0' + i % 10);
	strcat(text, "y=");
	memset(text + strlen(text), 'y', QUERY_LEN_MAX);
	strcat(text, "&a=1");
	assert_int_equal(query_parse(&q, text, is_a, NULL), 0);
	assert_int_equal(q.n, QUERY_PAIRS_MAX);
	assert_string_equal(query_get(&q, "a"), "1");
	assert_null(query_get(&q, "y"));
}

/* Two of one name, of which the route knows nothing: neither is taken for the one. */
static void
what_stands_twice_is_nothing(void **state)
{
	static struct query q;

	(void)state;
	assert_int_equal(query_parse(&q, "b=1&c=2&b=3&b=4", is_a, NULL), 0);
	assert_null(query_get(&q, "b"));
	assert_string_equal(query_get(&q, "c"), "2");
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
	static const struct {
		const char *header, *query, *id;
	} cases[] = {
	    {"1-0", "last_event_id=2-0&lastEventId=3-0", "1-0"},
	    {"", "last_event_id=2-0", "2-0"},
	    {NULL, "last_event_id=2-0&lastEventId=3-0", "3-0"},
	    {NULL, "Last-Event-ID=4-0&last_event_id=&x=1", "4-0"},
	    {NULL, "lastEventID=5-0&last_event_id=2-0&last_event_id=3-0&lastEventId", "3-0"},
	    {NULL, "last%5Fevent%5Fid=a%2Cb+c", "a,b c"},
	    {NULL, "last_event_id=&lastEventId=", NULL},
	    {NULL, "LAST_EVENT_ID=1-0", NULL},
	    {NULL, NULL, NULL},
	    {"", NULL, NULL},
	    /* whatever it is, it is no fault of the request's */
	    {"\xC3\xA9", NULL, "\xC3\xA9"},
	    {"\xE9", NULL, "\xE9"},
	    {"a b", NULL, "a b"},
	    {"a\tb\x7f", NULL, "a\tb\x7f"},
	    {NULL, "last_event_id=%", "%"},
	    {NULL, "last_event_id=1-0%00", "1-0%00"},
	    {NULL, "last_event_id=%E9", "\xE9"},
	    /* two headers, joined by the web server */
	    {"1-0, 2-0", NULL, "2-0"},
	    {"1-0, ", NULL, "1-0"},
	    {", 2-0", NULL, "2-0"},
	    {"1-0,2-0", NULL, "1-0,2-0"},
	};
	static char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/a";
	static struct request req;
	char header[256], query[256];
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *vars[] = {method, uri, NULL, NULL, NULL};
		struct params params = {.envp = vars};
		size_t n = 2;

		snprintf(header, sizeof(header), "HTTP_LAST_EVENT_ID=%s", cases[i].header);
		snprintf(query, sizeof(query), "QUERY_STRING=%s", cases[i].query);
		if (cases[i].header != NULL)
			vars[n++] = header;
		if (cases[i].query != NULL)
			vars[n++] = query;
		assert_int_equal(request_read(&req, &params, "", &why), 0);
		if ((req.last_event_id == NULL) != (cases[i].id == NULL) ||
		    (cases[i].id != NULL && strcmp(req.last_event_id, cases[i].id) != 0))
			fail_msg("%zu: wanted %s, got %s", i, cases[i].id, req.last_event_id);
	}
}

/* Of a long one the end tells whether its stream is over. */
static void
a_long_last_event_id_keeps_its_end(void **state)
{
	static char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/a";
	static char header[5000] = "HTTP_LAST_EVENT_ID=";
	static struct request req;
	char *vars[] = {method, uri, header, NULL};
	struct params params = {.envp = vars};
	const char *why;

	(void)state;
	memset(header + strlen(header), 'x', 4000);
	strcat(header, ".end");
	assert_int_equal(request_read(&req, &params, "", &why), 0);
	assert_int_equal(strlen(req.last_event_id), REQUEST_ID_MAX);
	assert_string_equal(req.last_event_id + REQUEST_ID_MAX - 5, "x.end");
}

/* What "mode" says counts first, then the first type of Accept that is written here. */
static void
a_wire_is_chosen(void **state)
{
	static const struct {
		const char *query, *accept, *wire;
	} cases[] = {
	    {"", NULL, "sse"},
	    {"", "*/*", "sse"},
	    {"", "text/event-stream", "sse"},
	    {"", "application/json", "sse"},
	    {"", "application/x-ndjson", "ndjson"},
	    {"", "Application/X-NDJSON ; charset=utf-8", "ndjson"},
	    {"", "text/html, application/x-ndjson, */*;q=0.1", "ndjson"},
	    {"", "application/x-ndjson,text/event-stream", "ndjson"},
	    {"", "text/event-stream, application/x-ndjson", "sse"},
	    {"", "text/event-stream;q=0, application/x-ndjson", "ndjson"},
	    {"", "application/x-ndjson;q=0.0", "sse"},
	    {"", "application/x-ndjson; q=0.5", "ndjson"},
	    {"", "application/x-ndjson; q=0, application/x-ndjson", "ndjson"},
	    {"", "application/x-ndjsonx", "sse"},
	    {"", ",,;, ", "sse"},
	    {"mode=ndjson", "text/event-stream", "ndjson"},
	    {"mode=sse", "application/x-ndjson", "sse"},
	    {"mode=watch", "application/x-ndjson", "ndjson"},
	    {"mode=watch", NULL, "sse"},
	};
	static char method[] = "REQUEST_METHOD=GET", uri[] = "REQUEST_URI=/a";
	static struct request req;
	static struct route route;
	char accept[256], query[256];
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *vars[] = {method, uri, query, NULL, NULL};
		struct params params = {.envp = vars};

		snprintf(accept, sizeof(accept), "HTTP_ACCEPT=%s", cases[i].accept);
		snprintf(query, sizeof(query), "QUERY_STRING=%s", cases[i].query);
		if (cases[i].accept != NULL)
			vars[3] = accept;
		assert_int_equal(request_read(&req, &params, "", &why), 0);
		req.route = &route;
		assert_int_equal(request_read_query(&req, NULL), 0);
		if (strcmp(req.wire->name, cases[i].wire) != 0)
			fail_msg("?%s %s: wanted %s", cases[i].query, accept, cases[i].wire);
	}
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
	    cmocka_unit_test(what_stands_twice_is_nothing),
	    cmocka_unit_test(requests_are_read_whatever_the_server),
	    cmocka_unit_test(a_slash_in_a_segment_is_no_slash),
	    cmocka_unit_test(the_last_event_id_comes_from_the_header_first),
	    cmocka_unit_test(a_long_last_event_id_keeps_its_end),
	    cmocka_unit_test(a_wire_is_chosen),
	    cmocka_unit_test(a_long_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
