#ifndef SLUICE_CLI_CONNECT_H
#define SLUICE_CLI_CONNECT_H

/*
 * connect - check --connect: every server that the configuration names is tried.
 */
struct config;

/*
 * connect_check - print what each says, and what stands in the routes' way. Nothing is written to
 * Redis. Returns 0; 1 if no primary can be reached, or one refuses what a route needs.
 */
int connect_check(const struct config *cfg);

#endif
