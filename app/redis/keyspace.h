#ifndef SLUICE_REDIS_KEYSPACE_H
#define SLUICE_REDIS_KEYSPACE_H

/*
 * keyspace - Redis's notifications of what becomes of keys: how they are named, and what Redis must
 * be set to.
 * Source: redis.io/docs/latest/develop/pubsub/keyspace-notifications.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* keyspace_is_pattern - does the name stand for more keys than one? */
bool keyspace_is_pattern(const char *key);

/*
 * keyspace_name - append what is subscribed to for the key, or pattern of keys, and a NUL. *head is
 * how many bytes stand before the key in the channels that arrive: glob characters of the prefix
 * are escaped in a pattern, and there they are not. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int keyspace_name(struct buf *b, int db, const char *prefix, const char *key, size_t *head);

/*
 * keyspace_key - of the name of such a channel: where the key stands in it. NULL: it is another
 * one. What is told of all keys, as __keyevent@0__:del, has none: *len is 0 then.
 */
const char *keyspace_key(const char *name, size_t *len);

/*
 * keyspace_fault - are these flags of notify-keyspace-events too few for every operation to be told
 * by its key? Then text is what they lack and the line that sets them.
 */
bool keyspace_fault(const char *flags, char *text, size_t len);

#endif
