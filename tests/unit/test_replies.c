/*
 * test_replies.c - the bytes of a connection as replies: in whatever pieces they come, within their
 * limits, and no longer than whoever takes them wants.
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

#include "redis/replies.h"

static const char three[] = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\na\r\nb\n\r\n+OK\r\n:-7\r\n";
static const char seen_of_three[] = "[message c a\r\nb\n]OK -7 ";

struct taker {
	struct replies replies;
	char seen[256];
	unsigned n, ends_at; /* after this many it ends the connection; 0: never */
};

static void
on_reply(void *arg, const redisReply *reply)
{
	struct taker *t = arg;
	size_t at = strlen(t->seen), room = sizeof(t->seen) - at;

	if (reply->type == REDIS_REPLY_ARRAY)
		snprintf(t->seen + at, room, "[%s %s %s]", reply->element[0]->str,
			 reply->element[1]->str, reply->element[2]->str);
	else if (reply->type == REDIS_REPLY_INTEGER)
		snprintf(t->seen + at, room, "%lld ", reply->integer);
	else
		snprintf(t->seen + at, room, "%s ", reply->str);
	if (++t->n == t->ends_at)
		replies_end(&t->replies);
}

static void
begin(struct taker *t, unsigned ends_at)
{
	memset(t, 0, sizeof(*t));
	t->ends_at = ends_at;
	replies_init(&t->replies);
	assert_int_equal(replies_begin(&t->replies), 0);
}

static const char *
take(struct taker *t, const char *bytes, size_t len)
{
	return replies_take(&t->replies, bytes, len, on_reply, t);
}

static void
test_split_at_every_offset(void **state)
{
	size_t len = sizeof(three) - 1;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		struct taker t;

		begin(&t, 0);
		assert_null(take(&t, three, cut));
		assert_null(take(&t, three + cut, len - cut));
		assert_string_equal(t.seen, seen_of_three);
		replies_fini(&t.replies);
	}
}

/* What stands behind a reply at which the connection is left is not even looked at. */
static void
test_ended_by_a_reply(void **state)
{
	static const char text[] = "+one\r\n+two\r\n?no protocol\r\n";

	(void)state;
	for (unsigned ends_at = 1; ends_at <= 2; ends_at++) {
		struct taker t;

		begin(&t, ends_at);
		assert_null(take(&t, text, sizeof(text) - 1));
		assert_string_equal(t.seen, ends_at == 1 ? "one " : "one two ");
		replies_fini(&t.replies);
	}
}

/* A connection that ends within a reply leaves nothing of it to the next one. */
static void
test_begun_anew(void **state)
{
	struct taker t;

	(void)state;
	begin(&t, 0);
	for (size_t cut = 0; cut < sizeof(three); cut++) {
		t.seen[0] = '\0';
		assert_null(take(&t, three, cut));
		replies_end(&t.replies);
		t.seen[0] = '\0';
		assert_int_equal(replies_begin(&t.replies), 0);
		assert_null(take(&t, three, sizeof(three) - 1));
		assert_string_equal(t.seen, seen_of_three);
		replies_end(&t.replies);
		assert_int_equal(replies_begin(&t.replies), 0);
	}
	replies_fini(&t.replies);
}

static void
test_what_is_wrong(void **state)
{
	static const struct {
		const char *head, *why;
		size_t n_filling; /* bytes behind it */
	} cases[] = {
	    {"HTTP/1.1 400 Bad Request\r\n", "what it sent is no Redis protocol", 0},
	    {"+fine\r\n?\r\n", "what it sent is no Redis protocol", 0},
	    {"*1048577\r\n", "it sends a reply of more than 1 Mi elements", 0},
	    {"+", "it sends a line without end", 70000},
	    {"$1000000000\r\n", "it sends a reply of more than 64 MiB", 65 * 1024 * 1024},
	    {"$100000\r\n", NULL, 99999}, /* a string is no line */
	    {"+", NULL, 60000},
	};
	size_t max = 65 * 1024 * 1024;
	char *filling = malloc(max);

	(void)state;
	assert_non_null(filling);
	memset(filling, 'x', max);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct taker t;
		const char *why;

		begin(&t, 0);
		why = take(&t, cases[i].head, strlen(cases[i].head));
		if (why == NULL && cases[i].n_filling > 0)
			why = take(&t, filling, cases[i].n_filling);
		if (cases[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, cases[i].why);
		replies_fini(&t.replies);
	}
	free(filling);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_split_at_every_offset),
	    cmocka_unit_test(test_ended_by_a_reply),
	    cmocka_unit_test(test_begun_anew),
	    cmocka_unit_test(test_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
