#ifndef SLUICE_MEMORY_H
#define SLUICE_MEMORY_H

/*
 * memory - a worker's own memory. It is kept below max_memory, at the cost of the clients with the
 * most unsent bytes; and memory that has become free is given back to the system.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"

struct hub;
struct server;

struct memory {
	struct logger_pause log;
	uint64_t tidied_ms;
};

/*
 * memory_look - called at each beat. server NULL: there is none. max is in bytes, 0: no limit;
 * now_ms is the loop's time.
 */
void
memory_look(struct memory *m, struct hub *hub, struct server *server, size_t max, uint64_t now_ms);

#endif
