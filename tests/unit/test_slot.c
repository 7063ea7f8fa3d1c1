/*
 * test_slot.c - where keys are in a cluster, and what its nodes say of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>

#include "redis/slot.h"
#include "redis/slot_map.h"

static unsigned
slot(const char *key)
{
	return slot_of(key, strlen(key));
}

/* As CLUSTER KEYSLOT of Redis 7.0 says. */
static void
test_slots(void **state)
{
	static const struct {
		const char *key;
		unsigned slot;
	} is[] = {
	    {"123456789", 12739},    {"foo", 12182},     {"bar", 5061}, {"", 0},
	    {"app:orders:1", 16063}, {"\xff\xfe", 3374},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++)
		assert_int_equal(slot(is[i].key), is[i].slot);
}

static void
test_hash_tags(void **state)
{
	(void)state;
	assert_int_equal(slot("{user1000}.following"), slot("user1000"));
	assert_int_equal(slot("x{user1000}.following"), slot("user1000"));
	assert_int_equal(slot("foo{bar}{zap}"), slot("bar"));
	assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
	assert_int_not_equal(slot("foo{}{bar}"), slot("bar"));
	assert_int_not_equal(slot("foo{bar"), slot("bar"));
	assert_int_not_equal(slot("foo}bar{x"), slot("x"));
	assert_true(slot_has_tag("a{b}", 4));
	assert_true(slot_has_tag("{b}", 3));
	assert_false(slot_has_tag("a{}b", 4));
	assert_false(slot_has_tag("a{b", 3));
	assert_false(slot_has_tag("a{b}", 3));
}

/* Replies, as Redis writes them */

static redisReply *
reply_of(const char *text)
{
	redisReader *reader = redisReaderCreate();
	void *reply;

	assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
	assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
	assert_non_null(reply);
	redisReaderFree(reader);
	return reply;
}

static int
read_map(struct slot_map *map, const char *text)
{
	redisReply *reply = reply_of(text);
	int rc = slot_map_read(map, reply, "asked");

	freeReplyObject(reply);
	return rc;
}

#define NODE(host, port)      "*3\r\n" host ":" port "\r\n$1\r\nx\r\n"
#define RANGE(from, to, node) "*3\r\n:" from "\r\n:" to "\r\n" node

static void
test_the_map(void **state)
{
	struct slot_map *map = malloc(sizeof(*map));

	(void)state;
	assert_non_null(map);
	assert_int_equal(read_map(map, "*4\r\n" RANGE("0", "99", NODE("$1\r\na\r\n", "7001"))
					   RANGE("200", "16383", NODE("$0\r\n\r\n", "7002")) RANGE(
					       "100", "100", NODE("$1\r\na\r\n", "7001"))
					       RANGE("101", "101", NODE("$1\r\n?\r\n", "7003"))),
			 0);
	assert_int_equal(map->n_nodes, 2);
	assert_string_equal(map->nodes[0].host, "a");
	assert_int_equal(map->nodes[0].port, 7001);
	assert_string_equal(map->nodes[1].host, "asked");
	assert_int_equal(map->of[0], 1);
	assert_int_equal(map->of[100], 1);
	assert_int_equal(map->of[101], 0);
	assert_int_equal(map->of[199], 0);
	assert_int_equal(map->of[16383], 2);
	assert_int_equal(map->n_covered, 101 + 16384 - 200);
	assert_int_equal(read_map(map, "*1\r\n" RANGE("0", "0", NODE("$-1\r\n", "7002"))), 0);
	assert_string_equal(map->nodes[0].host, "asked");
	assert_int_equal(read_map(map, "*0\r\n"), 0);
	assert_int_equal(map->n_covered, 0);
	free(map);
}

static void
test_what_is_no_map(void **state)
{
	static const char *const none[] = {
	    "-ERR This instance has cluster support disabled\r\n",
	    "*1\r\n:1\r\n",
	    "*1\r\n*2\r\n:0\r\n:1\r\n",
	    "*1\r\n" RANGE("0", "16384", NODE("$1\r\na\r\n", "1")),
	    "*1\r\n" RANGE("-1", "5", NODE("$1\r\na\r\n", "1")),
	    "*1\r\n" RANGE("0", "5", NODE("$1\r\na\r\n", "0")),
	    "*1\r\n" RANGE("0", "5", NODE("$1\r\na\r\n", "65536")),
	    "*1\r\n" RANGE("0", "5", "$1\r\na\r\n"),
	};
	struct slot_map *map = malloc(sizeof(*map));

	(void)state;
	assert_non_null(map);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(read_map(map, none[i]), -EINVAL);
	free(map);
}

static enum redirect_kind
redirect(struct redirect *out, const char *text)
{
	redisReply *reply = reply_of(text);
	enum redirect_kind kind = redirect_read(out, reply);

	freeReplyObject(reply);
	return kind;
}

static void
test_redirects(void **state)
{
	struct redirect to;

	(void)state;
	assert_int_equal(redirect(&to, "-MOVED 3999 127.0.0.1:6381\r\n"), REDIRECT_MOVED);
	assert_int_equal(to.slot, 3999);
	assert_string_equal(to.to.host, "127.0.0.1");
	assert_int_equal(to.to.port, 6381);
	assert_int_equal(redirect(&to, "-ASK 1 ::1:6381\r\n"), REDIRECT_ASK);
	assert_string_equal(to.to.host, "::1");
	assert_int_equal(redirect(&to, "-MOVED 1 :6381\r\n"), REDIRECT_MOVED);
	assert_string_equal(to.to.host, "");
	assert_int_equal(redirect(&to, "-TRYAGAIN Multiple keys request\r\n"), REDIRECT_WAIT);
	assert_int_equal(redirect(&to, "-CLUSTERDOWN The cluster is down\r\n"), REDIRECT_WAIT);
	assert_int_equal(redirect(&to, "-MOVED 16384 a:1\r\n"), REDIRECT_NONE);
	assert_int_equal(redirect(&to, "-MOVED 1 a:0\r\n"), REDIRECT_NONE);
	assert_int_equal(redirect(&to, "-MOVED 1 a\r\n"), REDIRECT_NONE);
	assert_int_equal(redirect(&to, "-MOVED x a:1\r\n"), REDIRECT_NONE);
	assert_int_equal(redirect(&to, "-CROSSSLOT Keys\r\n"), REDIRECT_NONE);
	assert_int_equal(redirect(&to, "+MOVED 1 a:1\r\n"), REDIRECT_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slots),     cmocka_unit_test(test_hash_tags),
	    cmocka_unit_test(test_the_map),   cmocka_unit_test(test_what_is_no_map),
	    cmocka_unit_test(test_redirects),
	};

	return cmocka_run_group_tests_name("slot", tests, NULL, NULL);
}
