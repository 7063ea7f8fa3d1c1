/*
 * What allow_command may answer, and what of it is true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "logic/reply.h"
#include "route/right.h"

static void
answers(void **state)
{
	static const struct {
		const char *name;
		int type;
		long long integer;
		const char *text;
		size_t elements;
		bool is_true;
	} cases[] = {
	    {"1", REDIS_REPLY_INTEGER, 1, "", 0, true},
	    {"-1", REDIS_REPLY_INTEGER, -1, "", 0, true},
	    {"0", REDIS_REPLY_INTEGER, 0, "", 0, false},
	    {"nil", REDIS_REPLY_NIL, 0, "", 0, false},
	    {"a text", REDIS_REPLY_STRING, 0, "admin", 0, true},
	    {"an empty text", REDIS_REPLY_STRING, 0, "", 0, false},
	    {"a text 0", REDIS_REPLY_STRING, 0, "0", 0, false},
	    {"a text 00", REDIS_REPLY_STRING, 0, "00", 0, true},
	    {"no", REDIS_REPLY_STRING, 0, "no", 0, false},
	    {"NO", REDIS_REPLY_STRING, 0, "NO", 0, false},
	    {"not no", REDIS_REPLY_STRING, 0, "now", 0, true},
	    {"a status", REDIS_REPLY_STATUS, 0, "OK", 0, true},
	    {"an empty list", REDIS_REPLY_ARRAY, 0, "", 0, false},
	    {"an error", REDIS_REPLY_ERROR, 0, "WRONGTYPE", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct redisReply reply = {.type = cases[i].type,
						 .integer = cases[i].integer,
						 .str = (char *)cases[i].text,
						 .len = strlen(cases[i].text),
						 .elements = cases[i].elements};

		if (reply_is_true(&reply) != cases[i].is_true)
			fail_msg("%s", cases[i].name);
	}
}

/* A list is as true as what stands in it. */
static void
lists(void **state)
{
	struct redisReply no[] = {{.type = REDIS_REPLY_INTEGER, .integer = 0},
				  {.type = REDIS_REPLY_NIL},
				  {.type = REDIS_REPLY_STRING, .str = (char *)"no", .len = 2},
				  {.type = REDIS_REPLY_ARRAY}};
	struct redisReply yes = {.type = REDIS_REPLY_INTEGER, .integer = 1};
	struct redisReply *elements[] = {&no[0], &no[1], &no[2], &no[3], &yes};
	struct redisReply list = {.type = REDIS_REPLY_ARRAY, .element = elements};
	struct redisReply *outer[] = {&list};
	const struct redisReply nested = {
	    .type = REDIS_REPLY_ARRAY, .element = outer, .elements = 1};

	(void)state;
	for (list.elements = 0; list.elements <= 4; list.elements++) {
		assert_false(reply_is_true(&list));
		assert_false(reply_is_true(&nested));
	}
	assert_true(reply_is_true(&list));
	assert_true(reply_is_true(&nested));
}

/* Other words, or the same cut otherwise, are another question. */
static void
questions(void **state)
{
	static const char *const lists[][4] = {{"SISMEMBER", "a", "b"},
					       {"SISMEMBER", "a", "c"},
					       {"SISMEMBER", "ab"},
					       {"SISMEMBER", "a"}};
	unsigned char digest[4][RIGHT_DIGEST];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		right_digest(digest[i], (char *const *)lists[i]);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(digest[i], digest[k], RIGHT_DIGEST);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
