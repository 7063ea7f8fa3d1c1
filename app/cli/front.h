#ifndef SLUICE_CLI_FRONT_H
#define SLUICE_CLI_FRONT_H

/*
 * front - the private web server of "sluice dev". It sends what Sluice serves to Sluice's socket,
 * and all else to the site's own development server.
 */
#include <limits.h>
#include <stdbool.h>

struct config;

/* What its configuration says. */
struct front_settings {
	const char *folder; /* for all that it writes */
	const char *socket; /* Sluice's */
	const char *host;   /* our address; an IPv6 address without brackets */
	unsigned port;
	const char *upstream_host; /* an address */
	unsigned upstream_port;
	const char *ours; /* a regular expression that matches the paths that Sluice serves */
};

struct front;

/*
 * front_find - finds a server that is installed, with that name if it is not NULL, and its path.
 * NULL: there is none.
 */
const struct front *front_find(const char *name, char path[PATH_MAX]);
const char *front_names(void); /* of all, for people */
const char *front_name(const struct front *front);

/* front_paths - the regular expression, the caller's. NULL: out of memory. */
char *front_paths(const struct config *cfg);

/* front_write - writes the server's configuration to the file. Returns 0 or a negative errno. */
int front_write(const struct front *front, const struct front_settings *set, const char *file);

/* front_argv - the command line that starts the program with it; ends with NULL. */
void front_argv(const struct front *front, const char *argv[6], const char *program,
		const char *file, const char *folder);

#endif
