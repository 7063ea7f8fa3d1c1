#ifndef SLUICE_SUPERVISOR_H
#define SLUICE_SUPERVISOR_H

/*
 * supervisor - the process that was started: it holds the socket and keeps the
 * workers alive, and passes on what signals ask for.
 */
#include "config/config.h"

/*
 * supervisor_block_signals - hold back what the supervisor or its workers handle. Call it before
 * anything is made that must be taken away at the end: a signal that comes meanwhile then waits.
 */
void supervisor_block_signals(void);

/*
 * supervisor_run - fork the workers and stay until SIGTERM or SIGINT. cfg is taken over.
 * Signals must be blocked. Returns the exit status of the process:
 * in a worker the worker's, here 0.
 */
int supervisor_run(struct config *cfg, const char *config_path, int listen_fd);

#endif
