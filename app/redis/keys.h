#ifndef SLUICE_REDIS_KEYS_H
#define SLUICE_REDIS_KEYS_H

/*
 * keys - which arguments of a command are keys, and which commands may not be sent on a connection
 * that others share.
 * Source: the "Key specifications" and flags of redis.io/commands, for reading commands.
 */
#include <stdbool.h>
#include <stddef.h>

/* keys_is_key - is argv[i] a key? argv[0] is the command's name, in any case. */
bool keys_is_key(int argc, const char *const *argv, int i);

/* keys_is_shareable - false for a command that blocks the connection or changes its state. */
bool keys_is_shareable(const char *name);

#endif
