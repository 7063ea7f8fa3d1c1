/* test_shared.c - memory that a process has in common with those that it forks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/shared.h"

/* All of it is there, and zero; what another process writes there is seen here. */
static void
shares(void **state)
{
	enum { HEAD = 24, ROWS = 3, ROW = 4096 };
	const unsigned char *bytes;
	uint64_t *numbers;
	void *p = NULL;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(shared_map(&p, "test", HEAD, ROWS, ROW), 0);
	assert_int_equal((uintptr_t)p % 64, 0);
	bytes = p;
	for (size_t i = 0; i < HEAD + ROWS * (size_t)ROW; i++)
		assert_int_equal(bytes[i], 0);
	numbers = p;
	if ((child = fork()) == 0) {
		shared_set(&numbers[1], 42);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(shared_get(&numbers[1]), 42);
	assert_int_equal(shared_get(&numbers[0]), 0);
}

/* A size that is none changes nothing. */
static void
refuses(void **state)
{
	void *p = state;

	assert_int_equal(shared_map(&p, "test", 1, SIZE_MAX, 2), -EOVERFLOW);
	assert_int_equal(shared_map(&p, "test", 2, SIZE_MAX, 1), -EOVERFLOW);
	assert_int_equal(shared_map(&p, "test", 0, 0, 1), -EINVAL);
	assert_ptr_equal(p, state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shares),
	    cmocka_unit_test(refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
