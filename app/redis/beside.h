#ifndef SLUICE_REDIS_BESIDE_H
#define SLUICE_REDIS_BESIDE_H

/*
 * beside - how names and words differ in a cluster, where the keys of one command must be in one
 * slot. Pure.
 */
#include "redis/settings.h"

/*
 * redis_beside - the key of what Sluice keeps beside another: the prefix, its name and the suffix;
 * in a cluster in the slot of that other, if need be by a hash tag of its whole name:
 * "{orders:1}:once:7". Returns what is to be freed; NULL: out of memory.
 */
char *redis_beside(const struct redis_settings *rs, const char *name, const char *suffix);

/* redis_publish_verb - PUBLISH, or SPUBLISH where channels are sharded. */
const char *redis_publish_verb(const struct redis_settings *rs);

#endif
