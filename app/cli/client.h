#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

/*
 * client - asks the running server by FastCGI, as a web server does. Subcommands use it that are a
 * subscriber in the terminal.
 */
#include <stdbool.h>

#include "base/buf.h"

struct config;

struct client {
	const char *name; /* the subcommand's name, for messages on stderr */
	const char *accept;
	const char *cookie, *last_event_id; /* the values of the headers; NULL: none */
	struct buf authorization;           /* the same, with its NUL; empty: none */
	bool refuses_streams;               /* an answer that would not end is an error */
	/*
	 * Called when more of the body of a 200 has come, which stands in text. It removes what it
	 * has used. A negative errno ends the request. NULL: the body is read at the end.
	 */
	int (*on_body)(struct client *client);
	void *arg;
	/* The answer: */
	bool has_head;
	int status;
	char reason[128]; /* what stands behind it */
	struct buf text;
};

/* client_init - everything but its name becomes zero. */
void client_init(struct client *client, const char *name);

/*
 * client_ask - sends GET path (with its query) to the server at address; if that is NULL, to where
 * the configuration says that it listens. Reads until the answer ends. Returns 0 with the status
 * and the rest of the body; -ECANCELED or -ENODATA if on_body() ended it so; another negative
 * errno, having printed why there is no answer.
 */
int
client_ask(struct client *client, const struct config *cfg, const char *address, const char *path);

/*
 * client_check - can the options name one who asks? Returns 0; else what the command exits with,
 * having printed why not.
 */
struct options;
int client_check(const struct options *opt);

/*
 * client_authorise - sets the credential that the options name. Returns 0; 1 having printed why
 * not.
 */
int client_authorise(struct client *client, const struct config *cfg, const struct options *opt);

/* client_print_problem - prints on stderr what the problem document in text says. */
void client_print_problem(struct client *client);
void client_fini(struct client *client);

#endif
