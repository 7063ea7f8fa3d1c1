/*
 * test_command.c - commands and their answers, against a Redis that is only pretended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "fake_redis.h"
#include "redis/command.h"

static struct command *command;

static void
on_answer(void *arg, const redisReply *reply)
{
	note("%s=%s", (const char *)arg, reply == NULL ? "NULL" : reply->str);
}

static int
setup(void **state)
{
	(void)state;
	fake_start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	command_free(command);
	command = NULL;
	fake_stop();
	return 0;
}

static void
again(void)
{
	teardown(NULL);
	setup(NULL);
}

static void
send_command(const char *name)
{
	const char *argv[] = {"GET", name};
	void *arg;

	memcpy(&arg, &name, sizeof(arg)); /* on_answer() only reads it */
	assert_int_equal(command_send(command, on_answer, arg, RESP_ARRAY(argv)), 0);
}

static void
begin_commands(unsigned timeout_ms)
{
	add_url_of_redis("", "");
	assert_int_equal(command_new(&command, &loop, servers(), timeout_ms), 0);
	RUN_UNTIL(command_is_up(command));
	buf_truncate(&heard_commands, 0);
}

static void
test_commands_in_order(void **state)
{
	(void)state;
	add_rule("GET two", SAY("-ERR no\r\n"), 0);
	add_rule("GET three", SAY("$3\r\nabc\r\n"), 0);
	begin_commands(1000);
	send_command("one");
	send_command("two");
	send_command("three");
	assert_string_equal(seen(), "");
	RUN_UNTIL(has_seen("three"));
	assert_string_equal(seen(), "one=OK|two=ERR no|three=abc|");
}

static void
test_command_while_down(void **state)
{
	const char *argv[] = {"GET", "x"};

	(void)state;
	add_url_of_redis("", "");
	assert_int_equal(command_new(&command, &loop, servers(), 1000), 0);
	assert_int_equal(command_send(command, on_answer, NULL, RESP_ARRAY(argv)), -ENOTCONN);
}

static void
send_at(const char *event)
{
	if (strcmp(event, "one=OK") == 0)
		send_command("two");
}

static void
test_command_in_a_callback(void **state)
{
	(void)state;
	begin_commands(1000);
	in_callback = send_at;
	send_command("one");
	RUN_UNTIL(has_seen("one=OK|two=OK|"));
}

static void
try_to_send_at(const char *event)
{
	const char *argv[] = {"GET", "x"};

	(void)event;
	assert_int_equal(command_send(command, on_answer, NULL, RESP_ARRAY(argv)), -ENOTCONN);
}

static void
test_commands_of_a_lost_link(void **state)
{
	(void)state;
	begin_commands(1000);
	redis.is_deaf = true;
	send_command("one");
	send_command("two");
	RUN_UNTIL(count(heard(), "GET") == 2);
	in_callback = try_to_send_at;
	hang_up(latest());
	RUN_UNTIL(has_seen("two"));
	assert_string_equal(seen(), "one=NULL|two=NULL|");
	in_callback = NULL;
	redis.is_deaf = false;
	RUN_UNTIL(command_is_up(command));
	send_command("three");
	RUN_UNTIL(has_seen("three=OK|"));
}

static void
free_command_at(const char *event)
{
	struct command *cmd = command;

	(void)event;
	command = NULL;
	in_callback = NULL;
	command_free(cmd);
}

static void
test_command_freed_in_a_callback(void **state)
{
	(void)state;
	begin_commands(1000);
	in_callback = free_command_at;
	redis.is_deaf = true;
	send_command("one");
	send_command("two");
	RUN_UNTIL(count(heard(), "GET") == 2);
	hang_up(latest());
	RUN_UNTIL(command == NULL);
	run_for(2);
	assert_string_equal(seen(), "one=NULL|two=NULL|");
	again();

	begin_commands(1000);
	in_callback = free_command_at;
	send_command("one");
	send_command("two");
	RUN_UNTIL(command == NULL);
	run_for(2);
	assert_string_equal(seen(), "one=OK|two=NULL|");
}

/* Bytes come, so the link is not dead; the answer does not. */
static void
test_command_deadline(void **state)
{
	(void)state;
	begin_commands(50);
	redis.is_deaf = true;
	send_command("one");
	push_text(latest(), "+");
	while (!has_seen("one")) {
		push_text(latest(), "x");
		run_for(5);
	}
	assert_string_equal(seen(), "one=NULL|");
	redis.is_deaf = false;
	RUN_UNTIL(redis.n_accepted == 2);
}

static void
test_answer_to_no_command(void **state)
{
	(void)state;
	begin_commands(1000);
	push_text(latest(), "+OK\r\n");
	RUN_UNTIL(redis.n_accepted == 2 && command_is_up(command));
	send_command("one");
	RUN_UNTIL(has_seen("one=OK|"));
}

static void
test_too_many_commands(void **state)
{
	const char *argv[] = {"GET", "x"};
	int i;

	(void)state;
	begin_commands(60000);
	for (i = 0; i < 100000; i++)
		assert_int_equal(command_send(command, NULL, NULL, RESP_ARRAY(argv)), 0);
	assert_int_equal(command_send(command, NULL, NULL, RESP_ARRAY(argv)), -EAGAIN);
	RUN_UNTIL(command_send(command, NULL, NULL, RESP_ARRAY(argv)) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_commands_in_order),           TEST(test_command_while_down),
	    TEST(test_command_in_a_callback),       TEST(test_commands_of_a_lost_link),
	    TEST(test_command_freed_in_a_callback), TEST(test_command_deadline),
	    TEST(test_answer_to_no_command),        TEST(test_too_many_commands),
	};

	return cmocka_run_group_tests(tests, fake_prepare, fake_clean);
}
