#include "memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "hub/hub.h"

enum {
	LOG_MS = 10000,
	TIDY_MS = 10000,
	TIDY_MAX = 16 * 1024 * 1024, /* above this size it would delay others */
};

/* How much memory the process has of its own; 0 if that is not known. */
static size_t
own_memory(void)
{
	unsigned long pages, resident, shared;
	FILE *f = fopen("/proc/self/statm", "re");
	int n = 0;

	if (f == NULL)
		return 0;
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
	n = fscanf(f, "%lu %lu %lu", &pages, &resident, &shared);
	fclose(f);
	return n == 3 && resident > shared ? (resident - shared) * (size_t)sysconf(_SC_PAGESIZE)
					   : 0;
}

/* Above the limit the clients with the most unsent bytes are ended, and new streams are refused. */
static void
keep_below(struct memory *m, struct hub *hub, size_t max, uint64_t now_ms)
{
	size_t used = max > 0 ? own_memory() : 0, n;

	if (used > max) {
		malloc_trim(0); /* memory that is free already is no reason to end anybody */
		used = own_memory();
	}
	hub_refuse_new(hub, used > max);
	if (used <= max)
		return;
	n = hub_shed(hub, used - max);
	if (logger_may(&m->log, now_ms, LOG_MS))
		logger_warn("%zu MiB are in use, more than max_memory: the %zu slowest clients "
			    "are ended, new ones are told to come back",
			    used >> 20, n);
}

/*
 * Objects that live shortly leave holes in the heap. Each hole is used again, but never all at the
 * same time, so more and more pages are touched, and a worker seems to grow for hours. This gives
 * free pages back.
 */
static void
tidy(struct memory *m, uint64_t now_ms)
{
	if (now_ms - m->tidied_ms < TIDY_MS)
		return;
	m->tidied_ms = now_ms;
	if (own_memory() <= TIDY_MAX)
		malloc_trim(0);
}

void
memory_look(struct memory *m, struct hub *hub, size_t max, uint64_t now_ms)
{
	keep_below(m, hub, max, now_ms);
	tidy(m, now_ms);
}
