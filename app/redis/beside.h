#ifndef SLUICE_REDIS_BESIDE_H
#define SLUICE_REDIS_BESIDE_H

/*
 * beside - how names and commands differ in a cluster, where the keys of one command must be in one
 * slot. Pure.
 */
#include "redis/settings.h"

/*
 * redis_beside - the name of a key that Sluice keeps beside another: the prefix, that name and the
 * suffix. In a cluster it is in the slot of the other key, if need be by a hash tag of the whole
 * name: "{orders:1}:once:7". The caller frees it; NULL: out of memory.
 */
char *redis_beside(const struct redis_settings *rs, const char *name, const char *suffix);

/* redis_publish_verb - PUBLISH, or SPUBLISH where channels are sharded. */
const char *redis_publish_verb(const struct redis_settings *rs);

#endif
