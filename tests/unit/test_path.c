/*
 * test_path.c - routes' paths: what compiles, what matches, what hides what.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "route/path.h"

/* "a/b" as the segments of a request's path "/a/b". */
static void
split(struct segments *sg, char *text)
{
	sg->n = 0;
	for (;;) {
		sg->at[sg->n++] = text;
		if ((text = strchr(text, '/')) == NULL)
			return;
		*text++ = '\0';
	}
}

static void
paths_match(void **state)
{
	static const struct {
		const char *path, *request;
		const char *values; /* joined by commas; NULL: no match */
	} cases[] = {
	    {"/orders", "orders", ""},
	    {"/orders", "orders/", NULL},
	    {"/orders", "order", NULL},
	    {"/orders/", "orders/", ""},
	    {"/", "", ""},
	    {"/jobs/{id}", "jobs/7", "7"},
	    {"/jobs/{id}", "jobs/", NULL},
	    {"/jobs/{id}", "jobs/7/8", NULL},
	    {"/jobs/{id}/progress", "jobs/7/progress", "7"},
	    {"/{a}/{b}", "x/y", "x,y"},
	    {"/{a}/{b}", "x", NULL},
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *values[PATH_SEGMENTS_MAX];
		char why[128], request[64], got[64] = "";
		struct segments sg;
		struct path *p;

		if (path_compile(&p, cases[i].path, why, sizeof(why)) < 0)
			fail_msg("%s: %s", cases[i].path, why);
		snprintf(request, sizeof(request), "%s", cases[i].request);
		split(&sg, request);
		if (path_match(p, &sg, values) != (cases[i].values != NULL))
			fail_msg("%s and /%s", cases[i].path, cases[i].request);
		for (n = 0; cases[i].values != NULL && path_param(p, n) != NULL; n++) {
			strcat(got, n > 0 ? "," : "");
			strcat(got, values[n]);
		}
		if (cases[i].values != NULL)
			assert_string_equal(got, cases[i].values);
		path_free(p);
	}
}

static void
faults_are_told(void **state)
{
	static const char *const bad[] = {
	    "",    "orders", "/a//b",  "/{a}{b}", "/x{a}",  "/{a}/{a}", "/{}",   "/{a",
	    "/a}", "/{1}",   "/{a-b}", "/a?b",    "/a%20b", "/.",       "/a/..", "/a#b"};
	struct path *p;
	char why[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (path_compile(&p, bad[i], why, sizeof(why)) != -EINVAL)
			fail_msg("%s compiles", bad[i]);
		assert_true(why[0] != '\0');
	}
}

static void
earlier_paths_hide_later_ones(void **state)
{
	static const struct {
		const char *a, *b;
		bool hides;
	} cases[] = {
	    {"/a", "/a", true},      {"/{x}", "/a", true},      {"/{x}", "/{y}", true},
	    {"/a", "/{x}", false},   {"/{x}/b", "/a/c", false}, {"/{x}/b", "/a/b", true},
	    {"/{x}", "/a/b", false}, {"/{x}", "/", false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct path *a, *b;
		char why[128];

		assert_int_equal(path_compile(&a, cases[i].a, why, sizeof(why)), 0);
		assert_int_equal(path_compile(&b, cases[i].b, why, sizeof(why)), 0);
		if (path_overlaps(a, b) != cases[i].hides)
			fail_msg("%s before %s", cases[i].a, cases[i].b);
		path_free(a);
		path_free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(paths_match),
	    cmocka_unit_test(faults_are_told),
	    cmocka_unit_test(earlier_paths_hide_later_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
