/*
 * The module is taken in as source, so that each of its allocations can be made to fail, and its
 * seed is known: with it CPython (PYTHONHASHSEED=1) hashes with the same key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <cmocka.h>

static unsigned fail_at; /* the allocation that fails; 0: none */

static void *
failing_calloc(size_t n, size_t size)
{
	if (fail_at > 0 && --fail_at == 0)
		return NULL;
	return calloc(n, size);
}

static ssize_t
known_random(void *p, size_t len, unsigned flags)
{
	(void)flags;
	assert_int_equal(len, 16);
	memcpy(p, "\x29\x23\xbe\x84\xe1\x6c\xd6\xae\x52\x90\x49\xf1\xf1\xbb\xe9\xeb", 16);
	return (ssize_t)len;
}

#define calloc    failing_calloc
#define getrandom known_random
#include "base/map.c" /* NOLINT(bugprone-suspicious-include) */
#undef calloc
#undef getrandom

struct item {
	unsigned mark;
	char key[16];
	struct map_node in_map;
};

static int
add(struct map *m, struct item *it, unsigned number)
{
	it->mark = 0;
	snprintf(it->key, sizeof(it->key), "key:%u", number);
	return map_add(m, &it->in_map, it->key, strlen(it->key));
}

static struct item *
find_number(const struct map *m, unsigned number)
{
	char key[16];
	struct map_node *node;

	snprintf(key, sizeof(key), "key:%u", number);
	node = map_find(m, key, strlen(key));
	return node != NULL ? MAP_ENTRY(node, struct item, in_map) : NULL;
}

static void
siphash_1_3(void **state)
{
	static const struct {
		size_t len;
		uint32_t want;
	} cases[] = {{1, 0xcecda4b9},  {7, 0x52a69ddf},  {8, 0x7e28dd01},
		     {9, 0x0cbbf778},  {15, 0x39e97a53}, {16, 0xf9f37002},
		     {17, 0x7f61907f}, {31, 0xf21d8810}, {63, 0x5bc68274}};
	char key[64];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (char)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%zu bytes\n", cases[i].len);
		assert_int_equal(hash(key, cases[i].len), cases[i].want);
	}
}

static void
empty(void **state)
{
	struct map m;

	(void)state;
	map_init(&m);
	assert_null(map_find(&m, "a", 1));
	assert_null(map_find(&m, "", 0));
	assert_null(map_first(&m));
	assert_int_equal(m.n, 0);
	map_fini(&m);
	map_fini(&m);
}

/* Keys are bytes: a NUL is one, a prefix is another key, and so is nothing. */
static void
keys_are_bytes(void **state)
{
	static const struct {
		const char *key;
		size_t len;
	} keys[] = {{"", 0},      {"a", 1},  {"ab", 2}, {"ab\0", 3},
		    {"ab\0c", 4}, {"\0", 1}, {"A", 1},  {"\xFF", 1}};
	enum { N = sizeof(keys) / sizeof(keys[0]) };
	struct map_node nodes[N];
	struct map m;

	(void)state;
	map_init(&m);
	for (size_t i = 0; i < N; i++) {
		assert_null(map_find(&m, keys[i].key, keys[i].len));
		assert_int_equal(map_add(&m, &nodes[i], keys[i].key, keys[i].len), 0);
	}
	for (size_t i = 0; i < N; i++)
		assert_ptr_equal(map_find(&m, keys[i].key, keys[i].len), &nodes[i]);
	map_del(&m, &nodes[1]);
	assert_null(map_find(&m, "a", 1));
	assert_ptr_equal(map_find(&m, "A", 1), &nodes[6]);
	assert_int_equal(m.n, N - 1);
	map_fini(&m);
}

/* Keys whose hashes collide are told apart by their length and their bytes. */
static void
equal_hashes(void **state)
{
	struct map_node node;
	struct map m;

	(void)state;
	map_init(&m);
	assert_int_equal(map_add(&m, &node, "ab", 2), 0);
	m.slots[node.hash & m.mask] = NULL;
	node.hash = hash("a", 1);
	m.slots[node.hash & m.mask] = &node;
	assert_null(map_find(&m, "a", 1));
	node.key = "b";
	node.len = 1;
	assert_null(map_find(&m, "a", 1));
	node.key = "a";
	assert_ptr_equal(map_find(&m, "a", 1), &node);
	map_fini(&m);
}

/* Growing loses nothing, keeps the load at 1 at most, and a walk meets each node once. */
static void
many(void **state)
{
	enum { MANY = 5000 };
	struct item *items = calloc(MANY, sizeof(*items));
	struct map_node *node;
	struct map m;
	unsigned n_met = 0;

	(void)state;
	assert_non_null(items);
	map_init(&m);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(add(&m, &items[i], i), 0);
		assert_int_equal(m.n, i + 1);
		assert_true(m.n <= m.mask + 1);
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_ptr_equal(find_number(&m, i), &items[i]);
	assert_null(find_number(&m, MANY));
	for (unsigned i = 0; i < MANY; i += 3)
		map_del(&m, &items[i].in_map);
	for (node = map_first(&m); node != NULL; node = map_next(&m, node)) {
		assert_int_equal(MAP_ENTRY(node, struct item, in_map)->mark++, 0);
		n_met++;
	}
	assert_int_equal(n_met, m.n);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(items[i].mark, i % 3 != 0);
		assert_ptr_equal(find_number(&m, i), i % 3 != 0 ? &items[i] : NULL);
	}
	map_fini(&m);
	free(items);
}

/* The walk that frees what it meets: the next node is fetched first. */
static void
free_in_a_walk(void **state)
{
	struct map_node *node, *next;
	struct map m;
	unsigned n = 0;

	(void)state;
	map_init(&m);
	for (unsigned i = 0; i < 100; i++) {
		struct item *it = malloc(sizeof(*it));

		assert_non_null(it);
		assert_int_equal(add(&m, it, i), 0);
	}
	for (node = map_first(&m); node != NULL; node = next) {
		next = map_next(&m, node);
		map_del(&m, node);
		free(MAP_ENTRY(node, struct item, in_map));
		n++;
	}
	assert_int_equal(n, 100);
	assert_int_equal(m.n, 0);
	assert_null(map_first(&m));
	map_fini(&m);
}

/* Without memory for more slots a map that has some goes on; one that has none refuses. */
static void
allocations(void **state)
{
	static struct item items[100];
	struct map m;

	(void)state;
	map_init(&m);
	fail_at = 1;
	assert_int_equal(add(&m, &items[0], 0), -ENOMEM);
	assert_int_equal(m.n, 0);
	assert_null(find_number(&m, 0));
	for (unsigned i = 0; i < 100; i++) {
		fail_at = i > 0 ? 1 : 0;
		assert_int_equal(add(&m, &items[i], i), 0);
	}
	fail_at = 0;
	assert_int_equal(m.mask + 1, FIRST_SLOTS);
	for (unsigned i = 0; i < 100; i++)
		assert_ptr_equal(find_number(&m, i), &items[i]);
	map_fini(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(siphash_1_3),    cmocka_unit_test(empty),
	    cmocka_unit_test(keys_are_bytes), cmocka_unit_test(equal_hashes),
	    cmocka_unit_test(many),           cmocka_unit_test(free_in_a_walk),
	    cmocka_unit_test(allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
