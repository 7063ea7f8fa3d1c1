/*
 * test_keyspace.c - the names of notifications of keys, and what Redis must be set to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "redis/keyspace.h"

static void
names(void **state)
{
	static const struct {
		int db;
		const char *prefix, *key, *name, *arrives;
	} cases[] = {
	    {0, "", "a", "__keyspace@0__:a", "__keyspace@0__:"},
	    {15, "app:", "a:1", "__keyspace@15__:app:a:1", "__keyspace@15__:app:"},
	    {3, "p[1]*?\\", "a", "__keyspace@3__:p[1]*?\\a", "__keyspace@3__:p[1]*?\\"},
	    {3, "p[1]*?\\", "a:*", "__keyspace@3__:p\\[1]\\*\\?\\\\a:*", "__keyspace@3__:p[1]*?\\"},
	    {0, "p*", "l\\*", "__keyspace@0__:p\\*l\\*", "__keyspace@0__:p*"},
	};
	struct buf b;
	size_t head;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_init(&b, 256);
		assert_int_equal(
		    keyspace_name(&b, cases[i].db, cases[i].prefix, cases[i].key, &head), 0);
		assert_string_equal(b.p, cases[i].name);
		assert_int_equal(head, strlen(cases[i].arrives));
		buf_fini(&b);
	}
}

static void
patterns(void **state)
{
	(void)state;
	assert_false(keyspace_is_pattern("a:1]"));
	assert_true(keyspace_is_pattern("a:*"));
	assert_true(keyspace_is_pattern("a?"));
	assert_true(keyspace_is_pattern("[ab]"));
	assert_true(keyspace_is_pattern("a\\"));
}

static void
too_long(void **state)
{
	struct buf b;
	size_t head;

	(void)state;
	buf_init(&b, 20);
	assert_true(keyspace_name(&b, 0, "prefix", "key", &head) < 0);
	buf_fini(&b);
}

static void
flags(void **state)
{
	static const struct {
		const char *flags, *lacks, *wanted; /* lacks NULL: nothing */
	} cases[] = {
	    {"KA", NULL, NULL},    {"AK", NULL, NULL},
	    {"AKEnm", NULL, NULL}, {"", "KA", "KA"},
	    {"A", "K", "KA"},      {"K", "A", "KA"},
	    {"EA", "K", "KAE"},    {"Kg$lshzxet", "d", "KA"},
	    {"Km", "A", "KAm"},    {"Ex", "Kg$lshzetd", "KAE"},
	};
	char text[256], wanted[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(keyspace_fault(cases[i].flags, text, sizeof(text)),
				 cases[i].lacks != NULL);
		if (cases[i].lacks == NULL)
			continue;
		snprintf(wanted, sizeof(wanted),
			 "notify-keyspace-events lacks %s, so not all that becomes of keys is "
			 "told: CONFIG SET notify-keyspace-events %s",
			 cases[i].lacks, cases[i].wanted);
		assert_string_equal(text, wanted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(patterns),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
