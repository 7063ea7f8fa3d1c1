#ifndef SLUICE_MEMORY_H
#define SLUICE_MEMORY_H

/*
 * memory - what a worker has in memory of its own: kept below max_memory, at the cost of those for
 * whom most waits, and given back to the system where it has become free.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"

struct hub;

struct memory {
	struct logger_pause log;
	uint64_t tidied_ms;
};

/* memory_look - each beat. max: bytes, 0: no limit; now_ms: of the loop. */
void memory_look(struct memory *m, struct hub *hub, size_t max, uint64_t now_ms);

#endif
