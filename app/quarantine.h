#ifndef SLUICE_QUARANTINE_H
#define SLUICE_QUARANTINE_H

/*
 * quarantine - puts messages at which two workers have died into a Redis stream, as they are, with
 * where they come from.
 */
#include <uv.h>

#include "base/logger.h"

struct command;
struct poison;

struct quarantine {
	uv_loop_t *loop;
	const struct poison *p; /* on its way there; NULL: none */
	struct command *command;
	char *key;          /* of the stream in Redis; owned; NULL: there is no quarantine */
	const char *prefix; /* borrowed */
	uint64_t again_ms;  /* not before */
	struct logger_pause log_refused;
};

void quarantine_init(struct quarantine *q, uv_loop_t *loop);

/* quarantine_set - name: [server] quarantine, or NULL. prefix is borrowed, until it is set anew or
 * q has ended. Returns 0, -ENOMEM. */
int quarantine_set(struct quarantine *q, const char *prefix, const char *name);

/*
 * quarantine_look - if there is one to be put there, do so. command is borrowed; when it is freed,
 * what is under way comes back.
 */
void quarantine_look(struct quarantine *q, struct command *command);

void quarantine_fini(struct quarantine *q); /* the command must be free */

#endif
