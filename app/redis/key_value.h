#ifndef SLUICE_REDIS_KEY_VALUE_H
#define SLUICE_REDIS_KEY_VALUE_H

/*
 * key_value - what a key holds, of whatever type it is, in one step: between TYPE and the command
 * that fits it, the key could become another.
 */

/*
 * For EVAL with the key. Gives nil if there is none, else its type and what the type's own command
 * answers; of a sorted set the scores, too, and of a stream the newest entry.
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

/* key_value_read - what the key holds, of the script's reply; NULL: nothing. *is_map: names and
 * values by turns. */
const struct redisReply *key_value_read(const struct redisReply *reply, _Bool *is_map);

#endif
