/*
 * test_keyspace.c - the names of notifications of keys, and of whatever else can be followed; and
 * what Redis must be set to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "redis/keyspace.h"
#include "redis/settings.h"
#include "redis/subject.h"

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

static void
names_of_subjects(void **state)
{
	static const struct {
		enum subject_kind kind;
		const char *own, *name;
		enum subject_kind followed_as;
		size_t head;
	} cases[] = {
	    {SUBJECT_CHANNEL, "a*", "p*:a*", SUBJECT_CHANNEL, 3},
	    {SUBJECT_PATTERN, "a*", "p\\*:a*", SUBJECT_PATTERN, 3},
	    {SUBJECT_STREAM, "a", "p*:a", SUBJECT_STREAM, 3},
	    {SUBJECT_KEYSPACE, "a", "__keyspace@4__:p*:a", SUBJECT_CHANNEL, 18},
	    {SUBJECT_KEYSPACE, "a*", "__keyspace@4__:p\\*:a*", SUBJECT_PATTERN, 18},
	};
	char prefix[] = "p*:";
	struct redis_url url = {.db = 4};
	const struct redis_settings settings = {.urls = &url, .n_urls = 1, .prefix = prefix};
	struct subject_name sn;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(subject_name_init(&sn, cases[i].kind, &settings, cases[i].own), 0);
		assert_string_equal(sn.text.p, cases[i].name);
		assert_int_equal(sn.kind, cases[i].followed_as);
		assert_int_equal(sn.head, cases[i].head);
		assert_non_null(subject_traits[sn.kind].following);
		subject_name_fini(&sn);
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
	    cmocka_unit_test(names_of_subjects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
