#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

/*
 * client - asks the running server by FastCGI, as a web server does: for the subcommands that are a
 * subscriber in the terminal.
 */
#include <stdbool.h>

#include "base/buf.h"

struct config;

struct client {
	const char *name; /* of the subcommand, for what is told on stderr */
	const char *accept;
	const char *cookie, *last_event_id; /* headers' values; NULL: none */
	struct buf authorization;           /* as those, with its NUL; empty: none */
	bool refuses_streams;               /* that would go on for ever */
	/* More of the body of a 200 stands in text; what is dealt with is for it to consume. A
	 * negative errno ends it. NULL: none is dealt with before the end. */
	int (*on_body)(struct client *client);
	void *arg;
	/* The answer: */
	bool has_head;
	int status;
	char reason[128]; /* what stands behind it */
	struct buf text;
};

/* client_init - all but its name is zero. */
void client_init(struct client *client, const char *name);

/*
 * client_ask - GET path (with its query) of the server at address, or where the configuration says
 * that it listens if address is NULL; until the answer ends. Returns 0 with the status and what is
 * left of the body; -ECANCELED or -ENODATA if on_body() ended it so; another negative errno
 * having told why there is no answer.
 */
int
client_ask(struct client *client, const struct config *cfg, const char *address, const char *path);

/* client_authorise - as the options say who asks. Returns 0; 1 having told why not. */
struct options;
int client_authorise(struct client *client, const struct config *cfg, const struct options *opt);

/* client_print_problem - what the problem document in text says, on stderr. */
void client_print_problem(struct client *client);
void client_fini(struct client *client);

#endif
