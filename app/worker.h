#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

/*
 * worker - one process: its loop, its two links to Redis, its routes, and what
 * it accepts, from start to drain.
 */
#include "config/config.h"
#include "fcgi/listen.h"

/*
 * worker_run - serve until SIGTERM or SIGINT, then drain. cfg is taken over; on SIGHUP
 * config_path is read again. listener NULL: plain CGI, the one request that the
 * environment holds. Returns the exit status: 0, or 1 if it could not begin.
 */
int worker_run(struct config *cfg, const char *config_path, const struct listener *listener);

#endif
