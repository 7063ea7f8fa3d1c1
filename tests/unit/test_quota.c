/*
 * How many of a thing there are, and who is asked whether they are still needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/quota.h"

static void
places(void **state)
{
	uint64_t zoe = quota_key("user", "route", "zoe"), max = quota_key("user", "route", "max");

	(void)state;
	assert_true(quota_take(zoe, 2));
	assert_true(quota_take(zoe, 2));
	assert_false(quota_take(zoe, 2));
	assert_true(quota_take(max, 1));
	quota_give(zoe);
	assert_true(quota_take(zoe, 2));
	quota_give(zoe);
	quota_give(zoe);
	quota_give(max);
}

/* Each worker sees each key once, however many ask within its time. */
static void
probes(void **state)
{
	uint64_t keys[QUOTA_PROBES];
	uint32_t one = 0, other = 0;

	(void)state;
	assert_int_equal(quota_probed(keys, &one), 0);
	quota_probe(7, 1500, 1000);
	quota_probe(7, 1500, 1100);
	quota_probe(8, 1500, 1200);
	assert_int_equal(quota_probed(keys, &one), 2);
	assert_int_equal(keys[0], 7);
	assert_int_equal(keys[1], 8);
	assert_int_equal(quota_probed(keys, &one), 0);
	assert_int_equal(quota_probed(keys, &other), 2);
	quota_probe(7, 1500, 2499);
	assert_int_equal(quota_probed(keys, &one), 0);
	quota_probe(7, 1500, 2500); /* its time is over: it is looked at anew */
	assert_int_equal(quota_probed(keys, &one), 1);
	assert_int_equal(keys[0], 7);
}

/* Of more than the ring holds the newest are seen, and nothing beyond it. */
static void
more_probes_than_there_is_room(void **state)
{
	uint64_t keys[QUOTA_PROBES];
	uint32_t seen = 0;

	(void)state;
	(void)quota_probed(keys, &seen);
	for (uint64_t key = 100; key < 100 + 3 * QUOTA_PROBES; key++)
		quota_probe(key, 1500, 5000);
	assert_int_equal(quota_probed(keys, &seen), QUOTA_PROBES);
	for (uint64_t i = 0; i < QUOTA_PROBES; i++)
		assert_int_equal(keys[i], 100 + 2 * QUOTA_PROBES + i);
	assert_int_equal(quota_probed(keys, &seen), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places),
	    cmocka_unit_test(probes),
	    cmocka_unit_test(more_probes_than_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
