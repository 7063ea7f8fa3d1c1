#ifndef SLUICE_REDIS_RESP_H
#define SLUICE_REDIS_RESP_H

/*
 * resp - a command as the bytes that Redis reads. Pure.
 * Source: redis.io/docs/reference/protocol-spec, "Sending commands to a Redis server".
 */
#include <stddef.h>

struct buf;

/*
 * resp_put_command - append one command of argc words. lens NULL: the words are strings.
 * Returns 0; -EMSGSIZE past b's cap, -ENOMEM: then b is as it was.
 */
int resp_put_command(struct buf *b, int argc, const char *const *argv, const size_t *lens);

#endif
