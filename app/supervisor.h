#ifndef SLUICE_SUPERVISOR_H
#define SLUICE_SUPERVISOR_H

/*
 * supervisor - the process that was started: it holds the socket and keeps the
 * workers alive, and passes on what signals ask for.
 */
#include "config/config.h"
#include "fcgi/listen.h"

/*
 * supervisor_block_signals - hold back what the supervisor or its workers handle. Call it first: a
 * signal that comes before it can be served then waits, and leaves nothing behind.
 */
void supervisor_block_signals(void);

/*
 * supervisor_run - fork the workers and stay until SIGTERM or SIGINT. cfg is taken over, and so is
 * listener. Signals must be blocked. Returns the exit status of the process:
 * in a worker the worker's, here 0.
 */
int supervisor_run(struct config *cfg, const char *config_path, struct listener *listener);

#endif
