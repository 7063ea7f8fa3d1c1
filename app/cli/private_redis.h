#ifndef SLUICE_CLI_PRIVATE_REDIS_H
#define SLUICE_CLI_PRIVATE_REDIS_H

/*
 * private_redis - a Redis of one's own, where the configuration says that one is: so the site,
 * which publishes there, need not know.
 */
#include <stdbool.h>
#include <stddef.h>

struct child;
struct redis_settings;

bool private_redis_is_there(const struct redis_settings *rs); /* does any answer? */

/* private_redis_start - with all in the folder. Returns 0; or -1 and why not. */
int private_redis_start(struct child *child, const struct redis_settings *rs, const char *folder,
			char *why, size_t why_len);

#endif
