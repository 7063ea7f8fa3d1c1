#ifndef SLUICE_CONFIG_H
#define SLUICE_CONFIG_H

/*
 * config - the INI file, checked and compiled. iniparser reads the values; a scan of our own finds
 * what iniparser does not tell: lines, duplicates, values that were cut off. All faults are
 * reported, not only the first.
 */
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "auth/settings.h"
#include "base/logger.h"
#include "redis/settings.h"
#include "route/route.h"

struct config {
	struct {
		char *listen; /* NULL: inherited */
		mode_t socket_mode;
		char *socket_user, *socket_group;
		char *base; /* "" or "/prefix" */
		unsigned workers;
		char *user, *group; /* NULL: stay */
		unsigned drain_ms;
		size_t max_memory;    /* bytes of one worker; 0: no limit */
		unsigned watchdog_ms; /* 0: never */
		char *quarantine;     /* a stream; NULL: none */
		char *log;
		enum logger_level log_level;
		enum logger_format log_format;
		uint64_t max_subscribers; /* over all routes; 0: no limit */
		char **trusted_proxies;   /* ends with NULL; NULL: none */
	} server;
	struct redis_settings redis;
	struct auth_settings auth;
	struct route **routes;
	size_t n_routes;
	char *files; /* the files that were read, a line each: this one, those that it includes,
			scripts */
	bool prints_events; /* set by the command line: print events on stdout as they are sent */
	char *notes; /* "FILE:LINE: note: …", a line each: what is allowed and probably not meant;
			NULL */
};

/*
 * config_load - reads path and what it includes. Each fault is one line in faults, "FILE:LINE: what
 * is wrong and what is allowed". Returns 0 and *out, the caller's; or -EINVAL if there were faults,
 * -ENOMEM.
 */
int config_load(struct config **out, const char *path, FILE *faults);
void config_free(struct config *cfg); /* takes NULL; routes that were taken out are NULL in it */

/* config_can_resume - can a client of any route be sent what it has missed? */
bool config_can_resume(const struct config *cfg);

/* config_path - the file that -c names, or $SLUICE_CONFIG, or /etc/sluice/sluice.ini. Borrowed. */
const char *config_path(const char *option);

#endif
