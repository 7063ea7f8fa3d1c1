/* The module is taken in as source, so that each of its allocations can be made to fail. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static unsigned fail_at; /* the allocation that fails; 0: none */
static unsigned n_allocs;

static void *
failing_realloc(void *p, size_t size)
{
	n_allocs++;
	if (fail_at > 0 && --fail_at == 0)
		return NULL;
	return realloc(p, size);
}

static size_t n_moved; /* bytes */

static void *
counting_memmove(void *to, const void *from, size_t len)
{
	n_moved += len;
	return memmove(to, from, len);
}

#define realloc failing_realloc
#define memmove counting_memmove
#include "base/buf.c" /* NOLINT(bugprone-suspicious-include) */
#undef realloc
#undef memmove

static void
assert_bytes(const struct buf *b, const char *want)
{
	assert_int_equal(b->len, strlen(want));
	if (b->len > 0)
		assert_memory_equal(b->p, want, b->len);
	assert_true(b->len <= b->cap);
}

static void
appends(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_null(b.p);
	assert_int_equal(buf_put(&b, "a\0b", 3), 0);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.p, "a\0b", 3);
	buf_truncate(&b, 1);
	assert_int_equal(buf_puts(&b, "bc"), 0);
	assert_int_equal(buf_putc(&b, 'd'), 0);
	assert_int_equal(buf_printf(&b, "%d-%s", 7, "x"), 0);
	assert_bytes(&b, "abcd7-x");
	assert_int_equal(buf_put_first(&b, "<>", 2), 0);
	assert_bytes(&b, "<>abcd7-x");
	assert_int_equal(buf_put_first(&b, "", 0), 0);
	buf_consume(&b, 3);
	assert_int_equal(buf_put_first(&b, ">", 1), 0);
	assert_bytes(&b, ">bcd7-x");
	buf_fini(&b);
	assert_int_equal(buf_put_first(&b, "x", 1), 0);
	assert_bytes(&b, "x");
	buf_fini(&b);
}

static void
numbers(void **state)
{
	static const uint64_t all[] = {0, 9, 10, 4294967295, UINT64_MAX};
	char want[32];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(want, sizeof(want), "%llu", (unsigned long long)all[i]);
		buf_init(&b, 100);
		assert_int_equal(buf_put_number(&b, all[i]), 0);
		assert_bytes(&b, want);
		buf_fini(&b);
		buf_init(&b, strlen(want) - 1);
		assert_int_equal(buf_put_number(&b, all[i]), -EMSGSIZE);
		assert_int_equal(b.len, 0);
	}
}

/* A text that just fits into the room that there is, and its neighbours. */
static void
a_text_that_fills_the_room(void **state)
{
	char text[200];
	struct buf b;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (int len = 50; len < 140; len++) {
		buf_init(&b, 1000);
		assert_int_equal(buf_puts(&b, "12345678"), 0);
		assert_int_equal(buf_printf(&b, "%.*s", len, text), 0);
		assert_int_equal(b.len, 8 + len);
		assert_memory_equal(b.p, "12345678", 8);
		assert_memory_equal(b.p + 8, text, (size_t)len);
		assert_true(b.len < b.alloc);
		buf_fini(&b);
	}
}

static void
nothing_holds_no_heap(void **state)
{
	struct buf b;

	(void)state;
	n_allocs = 0;
	buf_init(&b, 10);
	assert_int_equal(buf_put(&b, NULL, 0), 0);
	assert_int_equal(buf_puts(&b, ""), 0);
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	assert_int_equal(buf_reserve(&b, 0), 0);
	buf_truncate(&b, 0);
	buf_consume(&b, 0);
	assert_int_equal(n_allocs, 0);
	assert_null(b.p);

	assert_int_equal(buf_puts(&b, "abc"), 0);
	buf_consume(&b, 3);
	assert_null(b.p);
	assert_int_equal(b.alloc, 0);
	assert_int_equal(buf_puts(&b, "again"), 0);
	assert_bytes(&b, "again");
	buf_fini(&b);
	assert_null(b.p);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_puts(&b, "0123456789"), 0); /* the cap outlives buf_fini() */
	assert_int_equal(buf_putc(&b, 'x'), -EMSGSIZE);
	buf_fini(&b);
}

/* Up to the cap and not a byte further, by each way to append, for caps around the first
 * allocation. */
static void
caps(void **state)
{
	static const size_t all[] = {0, 1, 2, 63, 64, 65, 66, 127, 128, 129, 1000};
	char text[1002];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t cap = all[i];
		struct buf b;

		memset(text, 'a', sizeof(text));
		text[cap] = '\0';
		buf_init(&b, cap);
		assert_int_equal(buf_puts(&b, text), 0);
		buf_fini(&b);
		assert_int_equal(buf_printf(&b, "%s", text), 0);
		assert_bytes(&b, text);
		assert_int_equal(buf_putc(&b, 'b'), -EMSGSIZE);
		assert_int_equal(buf_printf(&b, "b"), -EMSGSIZE);
		assert_int_equal(buf_reserve(&b, SIZE_MAX), -EMSGSIZE);
		assert_int_equal(buf_reserve(&b, 1), -EMSGSIZE);
		assert_int_equal(buf_put(&b, "", 0), 0);
		assert_bytes(&b, text);
		buf_fini(&b);
		for (size_t n = 0; n < cap; n++)
			assert_int_equal(buf_putc(&b, 'a'), 0);
		assert_int_equal(buf_putc(&b, 'b'), -EMSGSIZE);
		assert_bytes(&b, text);
		buf_fini(&b);
		text[cap] = 'a';
		assert_int_equal(buf_put(&b, text, cap + 1), -EMSGSIZE);
		assert_null(b.p);
	}
}

/* One that is lowered counts from then on, although there is room for more. */
static void
a_lower_cap(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(buf_puts(&b, "1234"), 0);
	b.cap = 8;
	assert_int_equal(buf_put(&b, "56789", 5), -EMSGSIZE);
	assert_int_equal(buf_printf(&b, "%s", "56789"), -EMSGSIZE);
	assert_int_equal(buf_printf(&b, "%s", "5678"), 0);
	assert_int_equal(buf_putc(&b, '9'), -EMSGSIZE);
	assert_bytes(&b, "12345678");
	buf_fini(&b);
}

static void
reserve(void **state)
{
	struct buf b;
	char *p;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(buf_reserve(&b, 500), 0);
	assert_int_equal(b.len, 0);
	p = b.p;
	memset(b.p, 'x', 500);
	b.len = 500;
	assert_int_equal(buf_reserve(&b, 0), 0);
	assert_ptr_equal(b.p, p);
	assert_int_equal(buf_reserve(&b, 501), -EMSGSIZE);
	assert_int_equal(buf_reserve(&b, 500), 0);
	memset(b.p + b.len, 'y', 500);
	assert_int_equal(b.p[499], 'x');
	buf_fini(&b);
}

/* A megabyte byte by byte takes a few growths, not a megabyte of them. */
static void
growth(void **state)
{
	struct buf b;

	(void)state;
	n_allocs = 0;
	buf_init(&b, (1 << 20) + 1);
	for (int i = 0; i <= 1 << 20; i++)
		assert_int_equal(buf_putc(&b, (char)('a' + i % 26)), 0);
	for (int i = 0; i <= 1 << 20; i++)
		assert_int_equal(b.p[i], 'a' + i % 26);
	assert_in_range(n_allocs, 10, 20);
	buf_fini(&b);
}

static void
consume_and_truncate(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_puts(&b, "0123456789"), 0);
	buf_consume(&b, 0);
	assert_bytes(&b, "0123456789");
	buf_consume(&b, 3);
	assert_bytes(&b, "3456789");
	buf_truncate(&b, 8);
	assert_bytes(&b, "3456789");
	buf_truncate(&b, 2);
	assert_bytes(&b, "34");
	assert_int_equal(buf_puts(&b, "x"), 0);
	assert_bytes(&b, "34x");
	buf_truncate(&b, 0);
	assert_int_equal(b.len, 0);
	assert_non_null(b.p);
	buf_consume(&b, 50);
	assert_null(b.p);
}

/* What is written a little at a time is not moved for each of them, whatever comes behind it. */
static void
consuming_is_linear(void **state)
{
	enum { LEN = 1000000, PIECE = 100 };
	unsigned in = 0, out = 0, seed = 3;
	size_t n_consumed = 0;
	struct buf b;

	(void)state;
	buf_init(&b, 2 * LEN);
	n_moved = 0;
	while (b.len < LEN)
		assert_int_equal(buf_putc(&b, (char)(in++ % 251)), 0);
	while (b.len > 0) {
		size_t n = 1 + (size_t)rand_r(&seed) % PIECE;

		for (size_t i = 0; i < n && i < b.len; i++)
			assert_int_equal((unsigned char)b.p[i], out++ % 251);
		n_consumed += n;
		buf_consume(&b, n);
		assert_true(b.gone <= b.len);
		for (int i = 0; i < 10 && n_consumed < LEN; i++)
			assert_int_equal(buf_putc(&b, (char)(in++ % 251)), 0);
	}
	assert_int_equal(in, out);
	assert_true(n_moved <= n_consumed);
	assert_null(b.p);
}

static void
allocations(void **state)
{
	struct buf b;
	unsigned nth;
	int rc = -ENOMEM;

	(void)state;
	for (nth = 1; rc != 0; nth++) {
		buf_init(&b, 10000);
		fail_at = nth;
		for (int i = 0; i < 300; i++) {
			size_t before = b.len;

			rc = i % 2 == 0 ? buf_puts(&b, "0123456789") : buf_printf(&b, "%010d", i);
			if (rc == 0)
				continue;
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(b.len, before);
			if (before > 0)
				assert_memory_equal(b.p, "0123456789", 10);
			break;
		}
		buf_fini(&b);
	}
	fail_at = 0;
	assert_true(nth > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(appends),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(a_text_that_fills_the_room),
	    cmocka_unit_test(nothing_holds_no_heap),
	    cmocka_unit_test(caps),
	    cmocka_unit_test(a_lower_cap),
	    cmocka_unit_test(reserve),
	    cmocka_unit_test(growth),
	    cmocka_unit_test(consume_and_truncate),
	    cmocka_unit_test(allocations),
	    cmocka_unit_test(consuming_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
