#ifndef SLUICE_LOGIC_REPLY_H
#define SLUICE_LOGIC_REPLY_H

/*
 * reply - Redis's answer to a command, as the bytes of a message.
 */
#include <stdbool.h>

#include "base/buf.h"

struct redisReply;

/*
 * reply_put - appends a string as it is, an integer or a list as JSON. In a list, a string that is
 * a JSON object or array stands as it is, any other as a string. is_map: the list alternates
 * between names and values, and becomes an object. Returns 0; -ENOENT for nil, or an empty map;
 * -EINVAL for an error or what is nested too deep; -EMSGSIZE, -ENOMEM.
 */
int reply_put(struct buf *b, const struct redisReply *reply, bool is_map);

/*
 * reply_put_json - as reply_put(), but the result is always JSON: other text becomes a JSON string,
 * and nil becomes null. So a reply looks the same inside an object as by itself.
 */
int reply_put_json(struct buf *b, const struct redisReply *reply, bool is_map);

/* reply_is_map - does the answer to this command alternate between names and values? */
bool reply_is_map(const char *command);

/*
 * reply_is_of_no_key - does this answer, as JSON, mean that there is no such key? In Redis an empty
 * list, set or stream does not exist; and of a key that does not, HMGET says nil of each field.
 */
bool reply_is_of_no_key(const char *command, const char *text, size_t len);

/* reply_is_true - false for nil, 0, an empty answer, "no", an error, and a list of nothing else. */
bool reply_is_true(const struct redisReply *reply);

#endif
