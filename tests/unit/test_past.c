/*
 * test_past.c - pages of streams: read once for all who ask for the same, so many at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_redis.h"
#include "redis/command.h"
#include "redis/past.h"

#define TWO_ENTRIES \
	"*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n" \
	"*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"

struct reader {
	struct past_reading reading;
	char name;
};

static struct command *command;
static struct past *past;

/* "a2" of two entries, "a2." if they are all, "a-" of none, "a!" of an error. */
static void
on_answer(struct past_reading *reading, const struct past_answer *answer)
{
	const struct reader *r = LIST_ENTRY(reading, struct reader, reading);

	if (answer->reply == NULL)
		note("%c-", r->name);
	else if (answer->reply->type == REDIS_REPLY_ERROR)
		note("%c!", r->name);
	else
		note("%c%zu%s", r->name, answer->reply->elements, answer->is_whole ? "." : "");
}

static int
setup(void **state)
{
	(void)state;
	fake_start();
	add_rule("XRANGE", SAY(TWO_ENTRIES), 0);
	add_rule("XREVRANGE", SAY(TWO_ENTRIES), 0);
	add_rule("XINFO", SAY("-ERR no such key\r\n"), 0);
	add_url_of_redis("", "");
	assert_int_equal(command_new(&command, &loop, servers(), 1000), 0);
	assert_int_equal(past_new(&past, &loop), 0);
	past_set_command(past, command);
	RUN_UNTIL(command_is_up(command));
	buf_truncate(&heard_commands, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	past_free(past);
	command_free(command);
	past = NULL;
	command = NULL;
	fake_stop();
	return 0;
}

static struct reader
reader_named(char name)
{
	return (struct reader){.reading = {.on_answer = on_answer}, .name = name};
}

static void
read_page(struct reader *r, const char *key, enum past_order order, uint64_t from, unsigned count)
{
	const struct past_range range = {{from, 0}, {9, 0}, order, count};

	assert_int_equal(past_read(past, &r->reading, key, &range), 0);
}

static void
equal_ones_are_read_once(void **state)
{
	struct reader a = reader_named('a'), b = reader_named('b'), c = reader_named('c'),
		      d = reader_named('d'), e = reader_named('e');

	(void)state;
	read_page(&a, "k", PAST_OLDEST_FIRST, 1, 2);
	read_page(&b, "k", PAST_OLDEST_FIRST, 1, 2);
	read_page(&c, "k", PAST_OLDEST_FIRST, 2, 3);
	read_page(&d, "k", PAST_NEWEST_FIRST, 1, 2);
	read_page(&e, "other", PAST_OLDEST_FIRST, 1, 2);
	assert_string_equal(seen(), "");
	RUN_UNTIL(has_seen("e2"));
	assert_string_equal(seen(), "a2|b2|c2.|d2|e2|");
	assert_string_equal(heard(), "XRANGE k 1-0 9-0 COUNT 2|XRANGE k 2-0 9-0 COUNT 3|"
				     "XREVRANGE k 9-0 1-0 COUNT 2|XRANGE other 1-0 9-0 COUNT 2|");
}

/* The end of a range was there before anybody asked; what XINFO says may have changed since. */
static void
what_is_on_its_way(void **state)
{
	struct reader a = reader_named('a'), b = reader_named('b'), c = reader_named('c'),
		      d = reader_named('d');

	(void)state;
	read_page(&a, "k", PAST_OLDEST_FIRST, 1, 2);
	assert_int_equal(past_look(past, &b.reading, "k"), 0);
	RUN_UNTIL(count(heard(), "XINFO") == 1 || has_seen("b!"));
	read_page(&c, "k", PAST_OLDEST_FIRST, 1, 2);
	assert_int_equal(past_look(past, &d.reading, "k"), 0);
	RUN_UNTIL(has_seen("d!"));
	assert_int_equal(count(heard(), "XINFO STREAM k"), 2);
	assert_true(has_seen("a2") && has_seen("b!") && has_seen("c2"));
}

static void
so_many_at_a_time(void **state)
{
	struct reader r[20];
	size_t i;

	(void)state;
	redis.is_deaf = true;
	for (i = 0; i < N(r); i++) {
		r[i] = reader_named((char)('a' + i));
		read_page(&r[i], "k", PAST_OLDEST_FIRST, i + 1, 2);
	}
	run_for(50);
	past_cancel(&r[3].reading); /* on its way */
	past_cancel(&r[15].reading);
	redis.is_deaf = false;
	hang_up(latest()); /* eight are lost, and told; the others cannot be sent, and are told */
	RUN_UNTIL(count(seen(), "-|") == 18);
	assert_false(has_seen("d-") || has_seen("p-"));
}

static void
nobody_to_ask(void **state)
{
	struct reader a = reader_named('a');

	(void)state;
	past_set_command(past, NULL);
	read_page(&a, "k", PAST_OLDEST_FIRST, 1, 2);
	assert_string_equal(seen(), "");
	RUN_UNTIL(has_seen("a-"));
}

static void
the_size_of_a_page(void **state)
{
	(void)state;
	assert_int_equal(past_count(0), 16);
	assert_int_equal(past_count(1), 500);
	assert_int_equal(past_count(1024), 64);
	assert_int_equal(past_count(20000), 4);
	assert_int_equal(past_count(100 * MIB), 2);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(equal_ones_are_read_once), TEST(what_is_on_its_way),
	    TEST(so_many_at_a_time),        TEST(nobody_to_ask),
	    TEST(the_size_of_a_page),
	};

	return cmocka_run_group_tests(tests, fake_prepare, fake_clean);
}
