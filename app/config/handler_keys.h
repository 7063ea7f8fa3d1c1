#ifndef SLUICE_CONFIG_HANDLER_KEYS_H
#define SLUICE_CONFIG_HANDLER_KEYS_H

/*
 * handler_keys - the keys that a handler adds, and the keys that it refuses.
 */
#include "config/keys.h"
#include "config/source.h"
#include "route/route.h"

/* config_handler_keys_set - sets the keys that the section's handler adds. Returns 0, -ENOMEM. */
int config_handler_keys_set(const struct config_source *src, struct route *rt, size_t section);

/*
 * config_handler_keys_check - reports keys that the section's handler does not have, or refuses,
 * and calls its check().
 */
void
config_handler_keys_check(const struct config_source *src, const struct route *rt, size_t section);

/*
 * config_handler_keys_try - checks a value of [defaults], which may be of use to no route. Returns
 * 0, -ENOMEM.
 */
int config_handler_keys_try(const struct config_source *src, const struct ini_entry *e,
			    const struct config_key *key);

/* config_handler_keys_put - appends the lines of these keys to the route's source. Returns as
 * buf_put(). */
int config_handler_keys_put(const struct route *rt, struct buf *b);

/*
 * config_handler_keys_refuse - refuses a handler's key with the name of a key of all routes.
 * Returns 0; -EINVAL with why.
 */
int config_handler_keys_refuse(char *why, size_t why_len);

#endif
