#ifndef SLUICE_CLI_CONNECT_H
#define SLUICE_CLI_CONNECT_H

/*
 * connect - for check --connect: tries every server that the configuration names.
 */
struct config;

/*
 * connect_check - prints what each server says, and what the routes lack. Nothing is written to
 * Redis. Returns 0; 1 if no primary can be reached, or one refuses what a route needs.
 */
int connect_check(const struct config *cfg);

#endif
