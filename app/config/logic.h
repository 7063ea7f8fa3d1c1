#ifndef SLUICE_CONFIG_LOGIC_H
#define SLUICE_CONFIG_LOGIC_H

/*
 * config_logic - a route's expressions, script and added fields, compiled; and the faults of keys
 * that do not go together.
 */
#include "base/buf.h"
#include "config/route.h"

/* config_logic_build - what rt->logic and the keys add.NAME say, into rt->stream. 0, -ENOMEM. */
int config_logic_build(const struct config_source *src, struct route *rt, size_t section);

/* config_logic_put_adds - the lines of the route's source for them. As buf_put(). */
int config_logic_put_adds(const struct config_source *src, size_t section, struct buf *b);

#endif
