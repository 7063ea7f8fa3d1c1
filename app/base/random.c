#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

static uint64_t state; /* 0: there is none yet */

static void
forget(void)
{
	state = 0;
}

/*
 * A forked process must not go on with the same numbers. To ask each time whose they are would be a
 * system call for each stream that opens.
 */
static void
begin(void)
{
	static bool is_told;

	if (!is_told)
		is_told = pthread_atfork(NULL, NULL, forget) == 0;
	if (getrandom(&state, sizeof(state), 0) != (ssize_t)sizeof(state) || state == 0)
		state = clock_ms() << 20 ^ (uint64_t)getpid();
}

unsigned
random_below(unsigned n)
{
	if (state == 0)
		begin();
	state ^= state << 13; /* xorshift64 (Marsaglia 2003) */
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 32) * n >> 32);
}

int
random_secret(char *out, size_t n)
{
	unsigned char bytes[RANDOM_SECRET_MAX];

	assert(n <= sizeof(bytes));
	if (getrandom(bytes, n, 0) != (ssize_t)n)
		return -EIO;
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}
