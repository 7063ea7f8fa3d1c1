#ifndef SLUICE_CONFIG_OWN_H
#define SLUICE_CONFIG_OWN_H

/*
 * config_own - the keys that a handler has for itself, and those that it refuses.
 */
#include "config/keys.h"
#include "config/source.h"
#include "route/route.h"

/* config_own_set - what the section says of the keys that its handler adds. 0, -ENOMEM. */
int config_own_set(const struct config_source *src, struct route *rt, size_t section);

/* config_own_check - the keys of the section that its handler does not have, or refuses, and what
 * its check() says. */
void config_own_check(const struct config_source *src, const struct route *rt, size_t section);

/* config_own_try - a value of [defaults], which may be of no route. 0, -ENOMEM. */
int config_own_try(const struct config_source *src, const struct ini_entry *e,
		   const struct config_key *key);

/* config_own_put - the lines of the route's source for them. As buf_put(). */
int config_own_put(const struct route *rt, struct buf *b);

/* config_own_refuse - why a handler's keys cannot be: one is called as a key of every route.
 * Returns 0; -EINVAL with why. */
int config_own_refuse(char *why, size_t why_len);

#endif
