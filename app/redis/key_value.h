#ifndef SLUICE_REDIS_KEY_VALUE_H
#define SLUICE_REDIS_KEY_VALUE_H

/*
 * key_value - reads what a key holds, whatever its type, in one step. Between TYPE and the command
 * for that type, the key could get another type.
 */

/*
 * For EVAL with the key. Returns nil if it does not exist, else its type and the answer of that
 * type's command; for a sorted set with the scores, and for a stream the newest entry.
 */
#define KEY_VALUE_SCRIPT \
	"local read = {string = {'GET'}, hash = {'HGETALL'}, set = {'SMEMBERS'},\n" \
	"  list = {'LRANGE', 0, -1}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'},\n" \
	"  stream = {'XREVRANGE', '+', '-', 'COUNT', 1}}\n" \
	"local kind = redis.call('TYPE', KEYS[1]).ok\n" \
	"if kind == 'none' then return false end\n" \
	"local c = read[kind]\n" \
	"if not c then return redis.error_reply('ERR a key of type ' .. kind) end\n" \
	"return {kind, redis.call(c[1], KEYS[1], unpack(c, 2))}"

struct redisReply;

/*
 * key_value_read - what the key holds, from the script's reply; NULL: nothing. *is_map: it
 * alternates between names and values.
 */
const struct redisReply *key_value_read(const struct redisReply *reply, _Bool *is_map);

#endif
