#ifndef SLUICE_CONFIG_OWN_H
#define SLUICE_CONFIG_OWN_H

/*
 * config_own - the keys that a handler adds, takes and refuses.
 */
#include "config/source.h"
#include "route/route.h"

/* config_own_set - what the section says of the keys that its handler adds. 0, -ENOMEM. */
int config_own_set(const struct config_source *src, struct route *rt, size_t section);

/* config_own_check - the keys of the section that its handler does not have, or refuses. */
void config_own_check(const struct config_source *src, const struct route *rt, size_t section);

/* config_own_put - the lines of the route's source for them. As buf_put(). */
int config_own_put(const struct route *rt, struct buf *b);

/* config_own_refuse - why a handler's keys cannot be: two are called the same. Returns 0; -EINVAL
 * with why. */
int config_own_refuse(char *why, size_t why_len);

#endif
