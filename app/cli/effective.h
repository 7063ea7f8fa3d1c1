#ifndef SLUICE_CLI_EFFECTIVE_H
#define SLUICE_CLI_EFFECTIVE_H

/*
 * effective - a route's settings with all defaults, whether its section, [defaults] or neither sets
 * them.
 */
#include "route/route.h"

/* effective_value - the value of one key, for the caller to free; NULL: it has none. */
char *effective_value(const struct route *rt, const char *key);

/* effective_print - prints a line "    key = value" for each key that does not have its default. */
void effective_print(const struct route *rt);

#endif
