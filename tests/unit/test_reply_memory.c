/*
 * test_reply_memory.c - replies in one piece of memory are what hiredis makes by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "redis/reply_memory.h"

static void
assert_same(const redisReply *a, const redisReply *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->integer, b->integer);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->str != NULL, b->str != NULL);
	if (a->str != NULL)
		assert_memory_equal(a->str, b->str, a->len + 1);
	assert_int_equal(a->elements, b->elements);
	for (size_t i = 0; i < a->elements; i++)
		assert_same(a->element[i], b->element[i]);
}

static redisReader *
serve(struct reply_memory *m)
{
	redisReader *reader = redisReaderCreate();

	assert_non_null(reader);
	reply_memory_init(m);
	reply_memory_serve(m, reader);
	return reader;
}

static redisReply *
read_from(redisReader *reader, const char *resp, size_t len)
{
	void *reply = NULL;

	assert_int_equal(redisReaderFeed(reader, resp, len), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	return reply;
}

static void
check_same(redisReader *ours, const char *resp, size_t len)
{
	redisReader *plain = redisReaderCreate();
	redisReply *a = read_from(plain, resp, len), *b;

	/* In two pieces, as a connection may bring it. */
	assert_null(read_from(ours, resp, len / 2));
	b = read_from(ours, resp + len / 2, len - len / 2);
	assert_non_null(b);
	assert_same(a, b);
	freeReplyObject(a);
	redisReaderFree(plain);
}

/* One after the other in the same memory, twice. */
static void
replies_are_the_same(void **state)
{
	static const char *const cases[] = {
	    "+OK\r\n",
	    "-ERR no\r\n",
	    ":-5\r\n",
	    "$5\r\nhello\r\n",
	    "$0\r\n\r\n",
	    "$-1\r\n",
	    "*-1\r\n",
	    "*0\r\n",
	    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\n{}\r\n",
	    "*2\r\n*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n*1\r\n+x\r\n",
	};
	struct reply_memory m;
	redisReader *reader = serve(&m);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			check_same(reader, cases[i], strlen(cases[i]));
			reply_memory_empty(&m);
		}
	}
	redisReaderFree(reader);
	reply_memory_fini(&m);
}

/* Strings of all lengths around what fits into a piece, several in a reply. */
static void
replies_of_any_size_are_the_same(void **state)
{
	enum { LONGEST = 20000, N = 5 };
	char *resp = malloc(N * (LONGEST + 32)), *to;
	struct reply_memory m;
	redisReader *reader = serve(&m);

	(void)state;
	for (int len = 1; len <= LONGEST; len += len < 100 ? 1 : 997) {
		to = resp + sprintf(resp, "*%d\r\n", N);
		for (int i = 0; i < N; i++) {
			to += sprintf(to, "$%d\r\n", len);
			memset(to, 'a' + i, (size_t)len);
			to += len;
			to += sprintf(to, "\r\n");
		}
		check_same(reader, resp, (size_t)(to - resp));
		reply_memory_empty(&m);
	}
	redisReaderFree(reader);
	reply_memory_fini(&m);
	free(resp);
}

/* However many are announced, in one array or in many. */
static void
elements_are_bounded(void **state)
{
	static const char *const cases[] = {"*1048577\r\n", "*2\r\n*1048576\r\n"};
	struct reply_memory m;
	redisReader *reader;
	void *reply;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reader = serve(&m);
		redisReaderFeed(reader, cases[i], strlen(cases[i]));
		assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_ERR);
		assert_true(reply_memory_has_too_many(&m));
		redisReaderFree(reader);
		reply_memory_fini(&m);
	}
}

/* Each array holds the next. hiredis before 1.0 has a limit of its own. */
static void
depth_is_bounded(void **state)
{
	enum { DEPTH = 500000 };
	struct reply_memory m;
	redisReader *reader = serve(&m);
	void *reply = NULL;
	int rc = REDIS_OK;

	(void)state;
	for (int i = 0; i < DEPTH && rc == REDIS_OK; i++) {
		redisReaderFeed(reader, "*1\r\n", 4);
		rc = redisReaderGetReply(reader, &reply);
	}
	assert_int_equal(rc, REDIS_ERR);
	assert_false(reply_memory_has_too_many(&m));
	redisReaderFree(reader);
	reply_memory_fini(&m);
}

/* One that is not whole is given back with all others. */
static void
a_part_of_a_reply_is_given_back(void **state)
{
	static const char part[] = "*3\r\n$1\r\na\r\n*2\r\n:1\r\n";
	struct reply_memory m;
	redisReader *reader = serve(&m);

	(void)state;
	assert_null(read_from(reader, part, sizeof(part) - 1));
	redisReaderFree(reader);
	reply_memory_fini(&m);
	assert_null(m.pieces);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies_are_the_same),
	    cmocka_unit_test(replies_of_any_size_are_the_same),
	    cmocka_unit_test(elements_are_bounded),
	    cmocka_unit_test(depth_is_bounded),
	    cmocka_unit_test(a_part_of_a_reply_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
