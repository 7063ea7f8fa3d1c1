#ifndef SLUICE_QUARANTINE_H
#define SLUICE_QUARANTINE_H

/*
 * quarantine - puts messages at which two workers have died into a Redis stream, unchanged, with
 * where they come from.
 */
#include <uv.h>

#include "base/logger.h"

struct command;
struct poison;

struct quarantine {
	uv_loop_t *loop;
	const struct poison *p; /* the message that is being put there; NULL: none */
	struct command *command;
	char *key; /* the key of the stream in Redis; owned; NULL: there is no quarantine */
	const char *prefix; /* borrowed */
	uint64_t again_ms;  /* not before */
	struct logger_pause log_refused;
};

void quarantine_init(struct quarantine *q, uv_loop_t *loop);

/*
 * quarantine_set - name is [server] quarantine, or NULL. prefix is borrowed until it is set anew or
 * q has ended. Returns 0, -ENOMEM.
 */
int quarantine_set(struct quarantine *q, const char *prefix, const char *name);

/*
 * quarantine_look - puts a message there, if one waits. command is borrowed; if it is freed before
 * the answer has come, the message waits again.
 */
void quarantine_look(struct quarantine *q, struct command *command);

void quarantine_fini(struct quarantine *q); /* command must have been freed */

#endif
