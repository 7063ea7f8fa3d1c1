#ifndef SLUICE_REDIS_COMPLAINTS_H
#define SLUICE_REDIS_COMPLAINTS_H

/*
 * complaints - what was last said of each server, so that the log is not filled: the same reason is
 * said once a minute, another one at once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"

enum { COMPLAINTS_MAX = 8 };

struct complaints {
	struct {
		struct logger_pause pause;
		char why[80];
	} of[COMPLAINTS_MAX]; /* by server, modulo */
};

/* complaints_may - is why to be said of this server now? Then it is remembered. now_ms: of the
 * loop. */
bool complaints_may(struct complaints *cs, size_t server, const char *why, uint64_t now_ms);

/* complaints_forget - all is well: the next one is said at once. */
void complaints_forget(struct complaints *cs);

#endif
