/* Numbers that spread things: they are below what was asked for, and a fork has others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"

enum { N_DRAWN = 16 };

static void
draw(unsigned *numbers)
{
	for (int i = 0; i < N_DRAWN; i++)
		numbers[i] = random_below(1U << 31);
}

static void
test_below(void **state)
{
	unsigned seen = 0;

	(void)state;
	assert_int_equal(random_below(0), 0);
	assert_int_equal(random_below(1), 0);
	for (int i = 0; i < 1000; i++) {
		unsigned n = random_below(3);

		assert_in_range(n, 0, 2);
		seen |= 1U << n;
	}
	assert_int_equal(seen, 7);
}

/* The parent has drawn before, so a child that went on with its state would draw the same. */
static void
test_fork(void **state)
{
	unsigned own[N_DRAWN], others[N_DRAWN];
	int ends[2], status;
	pid_t pid;

	(void)state;
	draw(own);
	assert_int_equal(pipe(ends), 0);
	if ((pid = fork()) == 0) {
		draw(others);
		_exit(write(ends[1], others, sizeof(others)) != (ssize_t)sizeof(others));
	}
	assert_true(pid > 0);
	assert_int_equal(read(ends[0], others, sizeof(others)), sizeof(others));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	draw(own);
	assert_memory_not_equal(own, others, sizeof(own));
	close(ends[0]);
	close(ends[1]);
}

static void
secrets_are_digits_and_never_the_same(void **state)
{
	char a[2 * RANDOM_SECRET_MAX + 2], b[2 * RANDOM_SECRET_MAX + 2];

	(void)state;
	for (size_t n = 1; n <= RANDOM_SECRET_MAX; n++) {
		memset(a, '!', sizeof(a));
		assert_int_equal(random_secret(a, n), 0);
		assert_int_equal(strlen(a), 2 * n);
		assert_int_equal(strspn(a, "0123456789abcdef"), 2 * n);
		assert_int_equal(a[2 * n + 1], '!');
	}
	assert_int_equal(random_secret(a, 16), 0);
	assert_int_equal(random_secret(b, 16), 0);
	assert_string_not_equal(a, b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_below),
	    cmocka_unit_test(test_fork),
	    cmocka_unit_test(secrets_are_digits_and_never_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
