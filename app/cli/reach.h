#ifndef SLUICE_CLI_REACH_H
#define SLUICE_CLI_REACH_H

/*
 * reach - is somebody there? A moment's look, for the command line.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* Where a server is, as its URL says. */
struct reach {
	char host[256]; /* without brackets */
	unsigned port;
	char address[INET6_ADDRSTRLEN]; /* the one that answers, or else the first; "" : none */
};

/* reach_parse - http://HOST[:PORT], or HOST:PORT if scheme is "". NULL, or why not. */
const char *reach_parse(struct reach *at, const char *scheme, const char *text);

/* reach_look - a name may have several addresses, and the server but one of them: sets the address.
 * Returns whether anybody answers there. */
bool reach_look(struct reach *at);

/* reach_may_bind - is the port free for us? */
bool reach_may_bind(const struct reach *at);

bool reach_socket(const char *path); /* a Unix socket */

#endif
