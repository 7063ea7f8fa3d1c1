/*
 * test_reply.c - what Redis answers as a message, and which words of a command are keys.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "logic/reply.h"
#include "redis/keys.h"

/* RESP, and what is made of it; NULL: what reply_put() returns. */
static void
replies(void **state)
{
	static const struct {
		const char *name, *resp;
		bool is_map;
		const char *want;
		int rc;
	} cases[] = {
	    {"string", "$5\r\nh\"llo\r\n", false, "h\"llo", 0},
	    {"empty string", "$0\r\n\r\n", false, "", 0},
	    {"status", "+OK\r\n", false, "OK", 0},
	    {"integer", ":-5\r\n", false, "-5", 0},
	    {"nil", "$-1\r\n", false, NULL, -ENOENT},
	    {"error", "-ERR no\r\n", false, NULL, -EINVAL},
	    {"list", "*4\r\n$1\r\na\r\n:5\r\n$-1\r\n*1\r\n$2\r\n\"x\r\n", false,
	     "[\"a\",5,null,[\"\\\"x\"]]", 0},
	    {"JSON in a list", "*3\r\n$7\r\n{\"a\":1}\r\n$2\r\n{a\r\n$4\r\ntrue\r\n", false,
	     "[{\"a\":1},\"{a\",\"true\"]", 0},
	    {"empty list", "*0\r\n", false, "[]", 0},
	    {"error in a list", "*1\r\n-ERR\r\n", false, NULL, -EINVAL},
	    {"map", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$2\r\n[]\r\n", true,
	     "{\"a\":\"1\",\"b\":[]}", 0},
	    {"empty map", "*0\r\n", true, NULL, -ENOENT},
	    {"map of no names", "*2\r\n:1\r\n:2\r\n", true, NULL, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		redisReader *reader = redisReaderCreate();
		void *reply = NULL;
		struct buf b;
		int rc;

		redisReaderFeed(reader, cases[i].resp, strlen(cases[i].resp));
		assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
		assert_non_null(reply);
		buf_init(&b, 1000);
		assert_int_equal(buf_putc(&b, '>'), 0);
		rc = reply_put(&b, reply, cases[i].is_map);
		if (rc != cases[i].rc)
			fail_msg("%s: returns %d", cases[i].name, rc);
		if (rc < 0)
			assert_int_equal(b.len, 1);
		else if (b.len - 1 != strlen(cases[i].want) ||
			 memcmp(b.p + 1, cases[i].want, b.len - 1) != 0)
			fail_msg("%s: %.*s", cases[i].name, (int)b.len, b.p);
		buf_fini(&b);
		freeReplyObject(reply);
		redisReaderFree(reader);
	}
	assert_true(reply_is_map("hgetall"));
	assert_false(reply_is_map("HGET"));
}

/* What stands in an object must be JSON. */
static void
replies_as_json(void **state)
{
	static const struct {
		const char *resp;
		bool is_map;
		const char *want;
	} cases[] = {
	    {"$5\r\nh\"llo\r\n", false, "\"h\\\"llo\""},
	    {"$0\r\n\r\n", false, "\"\""},
	    {"$2\r\n-5\r\n", false, "-5"},
	    {"$2\r\n05\r\n", false, "\"05\""},
	    {"$7\r\n{\"a\":1}\r\n", false, "{\"a\":1}"},
	    {"$3\r\n{a}\r\n", false, "\"{a}\""},
	    {"$-1\r\n", false, "null"},
	    {"*0\r\n", true, "null"},
	    {"*0\r\n", false, "[]"},
	    {"*2\r\n$1\r\na\r\n$1\r\n1\r\n", true, "{\"a\":\"1\"}"},
	    {"*2\r\n$1\r\na\r\n$1\r\n1\r\n", false, "[\"a\",\"1\"]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		redisReader *reader = redisReaderCreate();
		void *reply = NULL;
		struct buf b;

		redisReaderFeed(reader, cases[i].resp, strlen(cases[i].resp));
		assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
		buf_init(&b, 1000);
		assert_int_equal(reply_put_json(&b, reply, cases[i].is_map), 0);
		assert_int_equal(buf_putc(&b, '\0'), 0);
		assert_string_equal(b.p, cases[i].want);
		buf_fini(&b);
		freeReplyObject(reply);
		redisReaderFree(reader);
	}
}

static void
no_key(void **state)
{
	static const struct {
		const char *command, *text;
		bool is_of_none;
	} cases[] = {
	    {"LRANGE", "[]", true},
	    {"lrange", "[null]", false},
	    {"ZRANGEBYSCORE", "[]", true},
	    {"EVAL", "[]", false},
	    {"GET", "[]", false},
	    {"GET", "[null]", false},
	    {"HMGET", "[null]", true},
	    {"hmget", "[null,null,null]", true},
	    {"MGET", "[null,null]", true},
	    {"HMGET", "[null,\"a\"]", false},
	    {"HMGET", "[\"a\",null]", false},
	    {"HMGET", "[null,nul]", false},
	    {"HMGET", "[null,null", false},
	    {"HMGET", "null,null]", false},
	    {"HMGET", "[\"null\"]", false},
	    {"HMGET", "[", false},
	    {"HMGET", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (reply_is_of_no_key(cases[i].command, cases[i].text, strlen(cases[i].text)) !=
		    cases[i].is_of_none)
			fail_msg("%s: %s", cases[i].command, cases[i].text);
	}
}

static void
keys(void **state)
{
	/* Under each word that is a key, a "k". */
	static const struct {
		const char *words[8], *keys;
	} cases[] = {
	    {{"GET", "a"}, " k"},
	    {{"hgetall", "a"}, " k"},
	    {{"LRANGE", "a", "0", "-1"}, " k  "},
	    {{"MGET", "a", "b"}, " kk"},
	    {{"DBSIZE"}, " "},
	    {{"INFO", "memory"}, "  "},
	    {{"MEMORY", "USAGE", "a"}, "  k"},
	    {{"EVAL", "return 1", "2", "a", "b", "c"}, "   kk "},
	    {{"EVAL", "return 1", "0", "a"}, "    "},
	    {{"EVAL", "return 1", "-5", "a"}, "    "},
	    {{"EVAL"}, " "},
	    {{"ZUNION", "2", "a", "b", "WITHSCORES"}, "  kk "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int argc = (int)strlen(cases[i].keys);

		for (int n = 0; n < argc; n++) {
			if (keys_is_key(argc, cases[i].words, n) != (cases[i].keys[n] == 'k'))
				fail_msg("%s: word %d", cases[i].words[0], n);
		}
	}
	assert_true(keys_is_shareable("GET"));
	assert_false(keys_is_shareable("blpop"));
	assert_false(keys_is_shareable("Subscribe"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies),
	    cmocka_unit_test(replies_as_json),
	    cmocka_unit_test(no_key),
	    cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
