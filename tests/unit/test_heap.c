/*
 * test_heap.c - against a plain array, in random order, with equal keys and with removals from
 * anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/heap.h"

enum { N = 200, STEPS = 100000 };

static uint64_t
least_of(const struct heap_node *nodes, const uint64_t *keys)
{
	uint64_t least = UINT64_MAX;
	size_t i;

	for (i = 0; i < N; i++) {
		if (heap_has(&nodes[i]) && keys[i] < least)
			least = keys[i];
	}
	return least;
}

static void
the_first_is_always_the_least(void **state)
{
	static struct heap_node nodes[N];
	static uint64_t keys[N];
	unsigned seed = 11;
	struct heap h;
	size_t i, step;

	(void)state;
	heap_init(&h);
	for (i = 0; i < N; i++)
		heap_node_init(&nodes[i]);
	for (step = 0; step < STEPS; step++) {
		i = (size_t)rand_r(&seed) % N;
		if (heap_has(&nodes[i])) {
			heap_del(&h, &nodes[i]);
		} else {
			keys[i] = (uint64_t)rand_r(&seed) % 1000;
			heap_add(&h, &nodes[i], keys[i]);
		}
		if (heap_first(&h) == NULL)
			assert_int_equal(least_of(nodes, keys), UINT64_MAX);
		else
			assert_int_equal(heap_first(&h)->key, least_of(nodes, keys));
	}
}

static void
all_come_out_in_order(void **state)
{
	static struct heap_node nodes[N];
	unsigned seed = 3;
	uint64_t before = 0;
	struct heap h;
	size_t i;

	(void)state;
	heap_init(&h);
	for (i = 0; i < N; i++) {
		heap_node_init(&nodes[i]);
		heap_add(&h, &nodes[i], (uint64_t)rand_r(&seed) % 50);
	}
	for (i = 0; i < N; i++) {
		struct heap_node *node = heap_first(&h);

		assert_non_null(node);
		assert_true(node->key >= before);
		before = node->key;
		heap_del(&h, node);
		assert_false(heap_has(node));
		heap_del(&h, node); /* it is in none: nothing happens */
	}
	assert_null(heap_first(&h));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_is_always_the_least),
	    cmocka_unit_test(all_come_out_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
