#ifndef SLUICE_LOGIC_REPLY_H
#define SLUICE_LOGIC_REPLY_H

/*
 * reply - what Redis answers to a command, as a message's bytes.
 */
#include <stdbool.h>

#include "base/buf.h"

struct redisReply;

/*
 * reply_put - append a string as it is, an integer or a list as JSON; of a list, what is a JSON
 * object or array stands there as it is, any other string as a string. is_map: the list is names
 * and values by turns, and becomes an object. Returns 0; -ENOENT for nil, or an empty map; -EINVAL
 * for an error or what is nested too deep; -EMSGSIZE, -ENOMEM.
 */
int reply_put(struct buf *b, const struct redisReply *reply, bool is_map);

/*
 * reply_put_json - as reply_put(), but always JSON: a string that is none becomes one, and what
 * does not exist is null. So what stands in an object is what the same reply is by itself.
 */
int reply_put_json(struct buf *b, const struct redisReply *reply, bool is_map);

/* reply_is_map - does the command answer with names and values by turns? */
bool reply_is_map(const char *command);

/* reply_is_collection - does the command read what one key holds, so that nothing means no key? */
bool reply_is_collection(const char *command);

/* reply_is_true - not for nil, 0, an empty answer, "no" and an error. */
bool reply_is_true(const struct redisReply *reply);

#endif
