#ifndef SLUICE_REDIS_SLOT_H
#define SLUICE_REDIS_SLOT_H

/*
 * slot - which of a cluster's hash slots a key, or a sharded channel, is in. Pure.
 * Source: redis.io/docs/reference/cluster-spec, "Key distribution model" and "Hash tags".
 */
#include <stdbool.h>
#include <stddef.h>

enum { SLOTS = 16384 };

unsigned slot_of(const char *key, size_t len);

/*
 * slot_tag - the part of the key that its slot is computed from, *len bytes: its hash tag, or all
 * of it.
 */
const char *slot_tag(const char *key, size_t *len);

/* slot_has_tag - does a hash tag decide where the key is? */
bool slot_has_tag(const char *key, size_t len);

#endif
