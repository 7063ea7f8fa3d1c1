/*
 * test_quarantine.c - what is on its way into the quarantine when the configuration changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <hiredis.h>
#include <cmocka.h>

#include "base/poison.h"
#include "quarantine.h"
#include "redis/command.h"

/* A server of commands that are answered when the test says so. */
static command_fn waits;
static void *waits_arg;
static char said[32];

bool
command_is_up(const struct command *cmd)
{
	(void)cmd;
	return true;
}

int
command_send(struct command *cmd, command_fn fn, void *arg, struct resp_words words)
{
	(void)cmd;
	assert_true(words.n > 0);
	assert_true(strlen(words.v[0]) < sizeof(said));
	memcpy(said, words.v[0], strlen(words.v[0]) + 1);
	waits = fn;
	waits_arg = arg;
	return 0;
}

static void
answer(const redisReply *reply)
{
	command_fn fn = waits;

	assert_non_null(fn);
	waits = NULL;
	fn(waits_arg, reply);
}

static void
kill_two(const char *id)
{
	const struct poison_work work = {
	    .route = "r", .subject = "s", .subject_len = 1, .id = id, .id_len = strlen(id)};
	unsigned n = 0;

	assert_int_equal(poison_open(1), 0);
	poison_use(0);
	poison_watch(true);
	for (int i = 0; i < POISON_DEATHS; i++) {
		assert_int_equal(poison_begin(&work), POISON_NONE);
		assert_non_null(poison_died(0, "signal 6", 0, &n));
	}
}

/* It is put there when there is one again: nothing is lost, and nothing is said to nowhere. */
static void
taken_away_meanwhile(void **state)
{
	redisReply nothing = {.type = REDIS_REPLY_ARRAY}, id = {.type = REDIS_REPLY_STRING};
	static char text[] = "1-1";
	struct quarantine q;
	uv_loop_t loop;

	(void)state;
	id.str = text;
	kill_two("5-0");
	assert_int_equal(uv_loop_init(&loop), 0);
	quarantine_init(&q, &loop);
	assert_int_equal(quarantine_set(&q, "", "q"), 0);
	quarantine_look(&q, NULL);
	assert_string_equal(said, "XRANGE");
	assert_int_equal(quarantine_set(&q, "", NULL), 0);
	answer(&nothing);
	assert_null(waits);

	assert_int_equal(quarantine_set(&q, "", "q"), 0);
	q.again_ms = 0;
	quarantine_look(&q, NULL);
	answer(&nothing);
	assert_string_equal(said, "XADD");
	assert_int_equal(quarantine_set(&q, "", NULL), 0);
	answer(&id);
	assert_null(q.p);
	quarantine_fini(&q);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(taken_away_meanwhile)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
