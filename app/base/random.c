#include "base/random.h"

#include <stdint.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

unsigned
random_below(unsigned n)
{
	static uint64_t state;
	static pid_t owner;

	if (state == 0 ||
	    owner != getpid()) { /* a forked process must not go on with the same numbers */
		owner = getpid();
		if (getrandom(&state, sizeof(state), 0) != (ssize_t)sizeof(state) || state == 0)
			state = clock_ms() << 20 ^ (uint64_t)owner;
	}
	state ^= state << 13; /* xorshift64 (Marsaglia 2003) */
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)((state >> 32) * n >> 32);
}
