#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <sluice/unique.h>

/* Each process draws a number of its own; after a fork the child draws again. */
static uint64_t
own_number(void)
{
	static pid_t owner;
	static uint64_t number;

	if (owner != getpid()) {
		owner = getpid();
		if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
			number = (uint64_t)owner;
	}
	return number;
}

void
unique_make(char text[UNIQUE_LEN])
{
	static uint32_t n;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, UNIQUE_LEN, "%08llx%08x%016llx",
		 (unsigned long long)now.tv_sec & 0xffffffffULL, n++,
		 (unsigned long long)own_number());
}
