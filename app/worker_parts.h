#ifndef SLUICE_WORKER_PARTS_H
#define SLUICE_WORKER_PARTS_H

/*
 * worker_parts - the parts of a worker, for worker.c, which owns them, and report.c, which tells
 * about them.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "memory.h"
#include "notifications.h"
#include "quarantine.h"
#include "servers.h"

enum { WORKER_SIGNALS = 5 };

struct worker {
	uv_loop_t loop;
	struct config *cfg;
	const char *config_path;
	const struct listener *listener; /* NULL: plain CGI */
	struct servers servers;
	struct hub *hub;
	struct command *command;
	struct site *site;
	struct server *server;
	struct cgi *cgi;
	uv_signal_t on[WORKER_SIGNALS];
	uv_timer_t beat;
	uv_timer_t flush;
	uint64_t flush_until_ms;
	struct quarantine quarantine;
	struct memory memory;
	struct notifications notifications;
	bool is_draining;
	bool is_ending; /* no new connection can come */
};

#endif
