#ifndef SLUICE_SUPERVISOR_H
#define SLUICE_SUPERVISOR_H

/*
 * supervisor - the process that was started. It holds the socket, keeps the workers alive, and
 * passes on what signals ask for.
 */
#include "config/config.h"
#include "fcgi/listen.h"

/*
 * supervisor_block_signals - blocks the signals that the supervisor or its workers handle. It must
 * be called first: a signal that comes early then waits until it can be served.
 */
void supervisor_block_signals(void);

/*
 * supervisor_run - forks the workers and runs until SIGTERM or SIGINT. Takes over cfg and listener.
 * Signals must be blocked. Returns the exit status of the process: in a worker the worker's.
 */
int supervisor_run(struct config *cfg, const char *config_path, struct listener *listener);

#endif
