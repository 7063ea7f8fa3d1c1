#ifndef SLUICE_CLI_EXPLAIN_H
#define SLUICE_CLI_EXPLAIN_H

/* explain - which route serves a request, and how. */
#include "config/config.h"

/*
 * explain_path - path is as a browser asks for it, with or without the base. Returns the exit
 * status: 1 if no route serves it.
 */
int explain_path(const struct config *cfg, const char *path);

/* explain_is_served - is the path, which begins with the base, one of a route? */
bool explain_is_served(const struct config *cfg, const char *path);

#endif
