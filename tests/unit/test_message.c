/*
 * test_message.c - what counts as JSON, and what handlers see of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "logic/message.h"

#define TEXT(s) s, sizeof(s) - 1

static void
json_is_the_whole_message(void **state)
{
	static const struct {
		const char *name, *data;
		size_t len;
		bool is_json;
	} cases[] = {
	    {"object", TEXT("{\"a\":1}"), true},
	    {"array", TEXT("[1,2]"), true},
	    {"bare number", TEXT("17"), true},
	    {"bare string", TEXT("\"Zo\xC3\xAB\""), true},
	    {"space behind", TEXT("{\"a\":1} \r\n\t"), true},
	    {"empty", TEXT(""), false},
	    {"text", TEXT("hello"), false},
	    {"cut", TEXT("{\"a\":"), false},
	    {"two values", TEXT("{\"a\":1}{\"b\":2}"), false},
	    {"text behind", TEXT("{\"a\":1}x"), false},
	    {"NUL behind", TEXT("{\"a\":1}\0"), false},
	    {"NUL between two", TEXT("{\"a\":1}\0{\"a\":2}"), false},
	    {"bad UTF-8", TEXT("\"\xFF\""), false},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message msg;

		message_init(&msg, "c", 1, cases[i].data, cases[i].len);
		if ((message_json(&msg) != NULL) != cases[i].is_json)
			fail_msg("%s: %s", cases[i].name, cases[i].is_json ? "refused" : "taken");
		message_fini(&msg);
	}
}

static void
depth_is_bounded(void **state)
{
	enum { DEEP = 100000 };
	char *text = malloc(DEEP + 1);
	struct message msg;

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEEP);
	text[DEEP] = '\0';
	message_init(&msg, "c", 1, text, DEEP);
	assert_null(message_json(&msg));
	message_fini(&msg);
	free(text);
}

static void
it_is_parsed_once(void **state)
{
	struct message msg;

	(void)state;
	message_init(&msg, "c", 1, TEXT("{\"state\":\"done\",\"ok\":true,\"n\":1}"));
	assert_ptr_equal(message_json(&msg), message_json(&msg));
	assert_true(json_is(message_json(&msg), "state", "done"));
	assert_false(json_is(message_json(&msg), "state", "don"));
	assert_false(json_is(message_json(&msg), "n", "1"));
	assert_false(json_is(message_json(&msg), "other", "done"));
	assert_true(json_is_true(message_json(&msg), "ok"));
	assert_false(json_is_true(message_json(&msg), "n"));
	message_fini(&msg);
}

/* A handler that looks for a member in what is no object finds none. */
static void
members_of_what_is_no_object(void **state)
{
	struct message msg;

	(void)state;
	message_init(&msg, "c", 1, TEXT("[1]"));
	assert_false(json_is(message_json(&msg), "a", "b"));
	assert_false(json_is_true(message_json(&msg), "a"));
	assert_false(json_is(NULL, "a", "b"));
	message_fini(&msg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(json_is_the_whole_message),
	    cmocka_unit_test(depth_is_bounded),
	    cmocka_unit_test(it_is_parsed_once),
	    cmocka_unit_test(members_of_what_is_no_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
