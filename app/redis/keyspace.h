#ifndef SLUICE_REDIS_KEYSPACE_H
#define SLUICE_REDIS_KEYSPACE_H

/*
 * keyspace - Redis's notifications about changes of keys: what their channels are called, and how
 * Redis must be configured.
 * Source: redis.io/docs/latest/develop/pubsub/keyspace-notifications.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* keyspace_is_pattern - may the name match several keys? */
bool keyspace_is_pattern(const char *key);

/* keyspace_put_escaped - appends text as a pattern that matches it alone. Returns 0, -EMSGSIZE,
 * -ENOMEM. */
int keyspace_put_escaped(struct buf *b, const char *text);

/*
 * keyspace_name - appends the name to subscribe to for a key, or a pattern of keys, and a NUL.
 * *head is how many bytes stand before the key in the channels that arrive; in a pattern the
 * prefix's glob characters are escaped, and there they are not. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int keyspace_name(struct buf *b, int db, const char *prefix, const char *key, size_t *head);

/*
 * keyspace_key - where the key stands in the name of such a channel. NULL: it is another channel.
 * If a notification names no key, as __keyevent@0__:del, *len is 0.
 */
const char *keyspace_key(const char *name, size_t *len);

/*
 * keyspace_fault - are these flags of notify-keyspace-events too few to tell every operation by its
 * key? Then text says what is missing, and the line that sets it.
 */
bool keyspace_fault(const char *flags, char *text, size_t len);

#endif
