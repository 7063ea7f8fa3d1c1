#ifndef SLUICE_CLI_EFFECTIVE_H
#define SLUICE_CLI_EFFECTIVE_H

/*
 * effective - a route's settings as they hold, whether its section, [defaults] or nobody gives
 * them.
 */
#include "route/route.h"

/* effective_value - of one key, for the caller to free; NULL: it has none. */
char *effective_value(const struct route *rt, const char *key);

/* effective_print - "    key = value" lines of those that are not as they would be without the
 * configuration. */
void effective_print(const struct route *rt);

#endif
