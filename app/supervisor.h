#ifndef SLUICE_SUPERVISOR_H
#define SLUICE_SUPERVISOR_H

/*
 * supervisor - the process that was started: it holds the socket and keeps the
 * workers alive, and passes on what signals ask for.
 */
#include "config.h"

/*
 * supervisor_run - fork the workers and stay until SIGTERM or SIGINT. cfg is taken over.
 * Returns the exit status of the process: in a worker the worker's, here 0.
 */
int supervisor_run(struct config *cfg, const char *config_path, int listen_fd);

#endif
