#ifndef SLUICE_REDIS_KEYS_H
#define SLUICE_REDIS_KEYS_H

/*
 * keys - which arguments of a command are keys, and which commands may not be sent on a shared
 * connection.
 * Source: the "Key specifications" and flags of redis.io/commands, for commands that read, and for
 * those by which Sluice itself writes.
 */
#include <stdbool.h>
#include <stddef.h>

/* keys_is_key - is argv[i] a key? argv[0] is the command's name, in any case. */
bool keys_is_key(int argc, const char *const *argv, int i);

/*
 * keys_first - the index of the command's first key, or of the channel that it publishes on; 0: it
 * has none.
 */
int keys_first(int argc, const char *const *argv);

/* keys_is_shareable - false for a command that blocks the connection or changes its state. */
bool keys_is_shareable(const char *name);

#endif
