#ifndef SLUICE_CONFIG_LOGIC_H
#define SLUICE_CONFIG_LOGIC_H

/*
 * config_logic - compiles a route's expressions, script and added fields; and reports keys of them
 * that do not go together.
 */
#include "base/buf.h"
#include "config/route.h"

/*
 * config_logic_build - compiles rt->logic and the keys add.NAME into rt->stream. Returns 0,
 * -ENOMEM.
 */
int config_logic_build(const struct config_source *src, struct route *rt, size_t section);

/*
 * config_logic_put_adds - appends the lines of add.NAME to the route's source. Returns as
 * buf_put().
 */
int config_logic_put_adds(const struct config_source *src, size_t section, struct buf *b);

#endif
