#ifndef SLUICE_REDIS_COMPLAINTS_H
#define SLUICE_REDIS_COMPLAINTS_H

/*
 * complaints - what was last logged about each server, so that the log is not filled: the same
 * reason is logged once a minute, another reason at once.
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

/*
 * complaints_may - may this reason be logged for this server now? If so, it is remembered. now_ms
 * is the loop's time.
 */
bool complaints_may(struct complaints *cs, size_t server, const char *why, uint64_t now_ms);

/* complaints_forget - the server is well again, so the next reason is logged at once. */
void complaints_forget(struct complaints *cs);

#endif
