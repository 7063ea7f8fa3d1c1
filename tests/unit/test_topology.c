/*
 * test_topology.c - which server links choose, with members that only take notes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "redis/resp.h"
#include "redis/topology.h"

enum { N = 3 };

struct neighbour {
	struct topology_member member;
	unsigned n_left, n_hurried;
};

static struct redis_url urls[N];
static const struct redis_settings settings = {.urls = urls, .n_urls = N};
static struct topology *tp;
static struct neighbour m[N];

static void
leave(struct topology_member *member, const char *why)
{
	assert_non_null(why);
	((struct neighbour *)(void *)member)->n_left++;
}

static void
hurry(struct topology_member *member)
{
	((struct neighbour *)(void *)member)->n_hurried++;
}

static int
setup(void **state)
{
	size_t i;

	(void)state;
	memset(m, 0, sizeof(m));
	if (topology_new(&tp, &settings) < 0)
		return -1;
	for (i = 0; i < N; i++) {
		m[i].member.leave = leave;
		m[i].member.hurry = hurry;
		topology_join(tp, &m[i].member);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	topology_free(tp);
	return 0;
}

static unsigned
choose(size_t i)
{
	const struct redis_url *url = topology_choose(tp, &m[i].member);

	assert_ptr_equal(url, &urls[m[i].member.server]);
	return m[i].member.server;
}

static void
come_up(size_t i, unsigned server)
{
	assert_int_equal(choose(i), server);
	topology_up(tp, &m[i].member);
}

/* Three that fail at one server turn to the next once, not three times. */
static void
test_turns_once(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N; i++)
		assert_int_equal(choose(i), 0);
	for (i = 0; i < N; i++)
		topology_failed(tp, &m[i].member);
	assert_int_equal(choose(0), 1);
	topology_failed(tp, &m[0].member);
	assert_int_equal(choose(0), 2);
	topology_failed(tp, &m[0].member);
	assert_int_equal(choose(0), 0);
}

static void
test_up_gathers_the_others(void **state)
{
	(void)state;
	come_up(0, 0);
	come_up(1, 0);
	assert_int_equal(m[0].n_left + m[1].n_left, 0);
	choose(2);
	topology_failed(tp, &m[2].member); /* 0 refuses the third */
	m[2].n_hurried = 0;
	come_up(2, 1);
	assert_int_equal(m[0].n_left, 1);
	assert_int_equal(m[1].n_left, 1);
	assert_int_equal(m[2].n_left, 0);
	topology_down(tp, &m[0].member);
	assert_int_equal(choose(0), 1);
}

static void
test_up_hurries_those_that_wait(void **state)
{
	(void)state;
	come_up(0, 0);
	assert_int_equal(m[0].n_hurried, 0);
	assert_int_equal(m[1].n_hurried, 1);
	assert_int_equal(m[2].n_hurried, 1);
}

/* What broke comes back to the same server: one that was restarted is there in a moment. */
static void
test_down_stays(void **state)
{
	(void)state;
	come_up(0, 0);
	topology_down(tp, &m[0].member);
	assert_int_equal(choose(0), 0);
}

static void
test_leave(void **state)
{
	(void)state;
	come_up(0, 0);
	come_up(1, 0);
	topology_leave(tp, &m[0].member, "a replica");
	assert_int_equal(m[0].n_left, 1);
	assert_int_equal(m[1].n_left, 1);
	assert_int_equal(m[2].n_left, 0);
	assert_int_equal(choose(2), 1);
}

static void
test_part(void **state)
{
	(void)state;
	come_up(0, 0);
	topology_part(tp, &m[0].member);
	choose(1);
	topology_failed(tp, &m[1].member);
	come_up(1, 1);
	assert_int_equal(m[0].n_left, 0);
}

/* A command's bytes */

static void
test_command(void **state)
{
	static const char *const argv[] = {"SET", "", "a\0b\r\n"};
	static const size_t lens[] = {3, 0, 5};
	const struct resp_words set = {3, argv, lens};
	static const char want[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\0b\r\n\r\n";
	struct buf b;
	size_t cap;

	(void)state;
	for (cap = 0; cap < sizeof(want); cap++) {
		buf_init(&b, cap);
		if (cap < sizeof(want) - 1) {
			assert_true(resp_put_command(&b, set) < 0);
			assert_int_equal(b.len, 0);
		} else {
			assert_int_equal(resp_put_command(&b, set), 0);
			assert_int_equal(b.len, sizeof(want) - 1);
			assert_memory_equal(b.p, want, b.len);
		}
		buf_fini(&b);
	}
	buf_init(&b, 64);
	assert_int_equal(resp_put_command(&b, RESP_WORDS("PING")), 0);
	assert_memory_equal(b.p, "*1\r\n$4\r\nPING\r\n", b.len);
	buf_fini(&b);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_turns_once),
	    TEST(test_up_gathers_the_others),
	    TEST(test_up_hurries_those_that_wait),
	    TEST(test_down_stays),
	    TEST(test_leave),
	    TEST(test_part),
	    cmocka_unit_test(test_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
