#ifndef SLUICE_WORKER_H
#define SLUICE_WORKER_H

/*
 * worker - one process from its start to its drain: its loop, two links to Redis, its routes and
 * its connections.
 */
#include "config/config.h"
#include "fcgi/listen.h"

/*
 * worker_run - serves until SIGTERM or SIGINT, then drains. Takes cfg over; on SIGHUP it reads
 * config_path again. listener NULL: plain CGI, the one request that the environment holds. Returns
 * the exit status: 0, or 1 if it could not begin.
 */
int worker_run(struct config *cfg, const char *config_path, const struct listener *listener);

#endif
