#include "memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "fcgi/server.h"
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

/* Memory that is free already is no reason to end anybody. */
static size_t
needed_memory(void)
{
	malloc_trim(0);
	return own_memory();
}

/*
 * Above the limit new streams are refused, and clients are ended: first those who do not read a
 * short answer, then the streams with the most unsent bytes. server NULL: there is none.
 */
static void
keep_below(struct memory *m, struct hub *hub, struct server *server, size_t max, uint64_t now_ms)
{
	size_t used = max > 0 ? own_memory() : 0, left, n = 0;

	if (used > max)
		used = needed_memory();
	hub_refuse_new(hub, used > max);
	if (used <= max)
		return;
	if (server != NULL)
		n = server_shed(server, used - max);
	if ((left = n > 0 ? needed_memory() : used) > max)
		n += hub_shed(hub, left - max);
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
memory_look(struct memory *m, struct hub *hub, struct server *server, size_t max, uint64_t now_ms)
{
	keep_below(m, hub, server, max, now_ms);
	tidy(m, now_ms);
}
