#ifndef SLUICE_REDIS_SENTINEL_H
#define SLUICE_REDIS_SENTINEL_H

/*
 * sentinel - asks the sentinels that url names which server is the primary, and tells a topology.
 *
 * Each sentinel is asked every second, and all of them at once when one tells of a fail-over. Links
 * leave a server that still says it is a primary only if most of the sentinels name another one. So
 * a sentinel that is out of date, or lies, moves no link.
 * Source: redis.io/docs/reference/sentinel-clients.
 */
#include <uv.h>

#include "redis/topology.h"

struct sentinel;

/*
 * sentinel_new - of the settings of tp, which is borrowed for its life and knows no server before.
 * Returns 0, also with *out NULL if they name no sentinel_master; -ENOMEM or what libuv said.
 */
int sentinel_new(struct sentinel **out, uv_loop_t *loop, struct topology *tp);
void sentinel_free(struct sentinel *st); /* takes NULL */

/*
 * sentinel_settings - the settings with which one of the sentinels is asked. They borrow what rs
 * holds, so only their urls are freed, with free(). Returns 0, -ENOMEM.
 */
int sentinel_settings(struct redis_settings *out, const struct redis_settings *rs, size_t nth);

struct redisReply;
/* sentinel_read - what "SENTINEL get-master-addr-by-name" answered: NULL, or the host, and *port.
 */
const char *sentinel_read(const struct redisReply *reply, int *port);

#endif
