#ifndef SLUICE_REDIS_GROUP_H
#define SLUICE_REDIS_GROUP_H

/*
 * group - a stream's consumer group, by the few commands that a queue needs. A command that does
 * more than one thing is a script, so that no other worker can come between. In each script KEYS[1]
 * is the stream and ARGV[1] the group.
 */
#include <stddef.h>

struct redisReply;

/*
 * Acknowledged entries are announced on this channel, for the workers that hold them: "GROUP ID
 * ID…".
 */
#define GROUP_ACKED_SUFFIX ":acked"

/*
 * ARGV[2] is where a new group begins: $, 0 or last:N. An error that begins with BUSYGROUP means
 * that the group exists.
 */
#define GROUP_CREATE_SCRIPT \
	"local at = ARGV[2]\n" \
	"local n = tonumber(string.match(at, '^last:(%d+)$'))\n" \
	"if n then\n" \
	"  local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', n + 1)\n" \
	"  at = newest[n + 1] and newest[n + 1][1] or '0'\n" \
	"end\n" \
	"return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], at, 'MKSTREAM')"

/*
 * Gives at most ARGV[4] entries that nobody has acknowledged for ARGV[3] milliseconds to the
 * consumer ARGV[2]. An entry that was delivered ARGV[5] times goes to the stream KEYS[2] instead,
 * with where it was and how often it was delivered; 0: none does. Returns how many went there, and
 * the others.
 */
#define GROUP_CLAIM_SCRIPT \
	"local max, n_dead, ids = tonumber(ARGV[5]), 0, {}\n" \
	"for _, p in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', " \
	"ARGV[4])) do\n" \
	"  if max > 0 and p[4] >= max then\n" \
	"    local entry = redis.call('XRANGE', KEYS[1], p[1], p[1])[1]\n" \
	"    if entry then\n" \
	"      local fields = entry[2]\n" \
	"      for _, v in ipairs({'dead-id', p[1], 'dead-group', ARGV[1],\n" \
	"                          'dead-deliveries', tostring(p[4])}) do\n" \
	"        fields[#fields + 1] = v\n" \
	"      end\n" \
	"      redis.call('XADD', KEYS[2], '*', unpack(fields))\n" \
	"    end\n" \
	"    redis.call('XACK', KEYS[1], ARGV[1], p[1])\n" \
	"    n_dead = n_dead + 1\n" \
	"  else\n" \
	"    ids[#ids + 1] = p[1]\n" \
	"  end\n" \
	"end\n" \
	"if #ids == 0 then return {n_dead, {}} end\n" \
	"return {n_dead, redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], unpack(ids))}"

/*
 * ARGV[2] and the following are IDs. The last two arguments are the stream's channel of
 * acknowledgements and the command that publishes on it. Returns how many of the entries were
 * pending.
 */
#define GROUP_ACK_SCRIPT \
	"local last = #ARGV - 2\n" \
	"local n = redis.call('XACK', KEYS[1], unpack(ARGV, 1, last))\n" \
	"redis.call(ARGV[last + 2], ARGV[last + 1], table.concat(ARGV, ' ', 1, last))\n" \
	"return n"

/*
 * Removes the consumer ARGV[2], which may be empty, unless it still has entries; and consumers that
 * have asked for nothing for ARGV[3] milliseconds, which belonged to workers that were killed. A
 * consumer that lives is made anew when it asks.
 */
#define GROUP_LEAVE_SCRIPT \
	"for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do\n" \
	"  local one = {}\n" \
	"  for i = 1, #c, 2 do one[c[i]] = c[i + 1] end\n" \
	"  if one.pending == 0 and\n" \
	"     (one.name == ARGV[2] or one.idle > tonumber(ARGV[3])) then\n" \
	"    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], one.name)\n" \
	"  end\n" \
	"end"

/*
 * group_entries - the array of entries in a reply to XREADGROUP for one stream; NULL: there are
 * none.
 */
const struct redisReply *group_entries(const struct redisReply *reply);

/*
 * group_claimed - the array of entries in a reply to the script, and how many became dead letters.
 * NULL if it is no such reply.
 */
const struct redisReply *group_claimed(const struct redisReply *reply, size_t *n_dead);

#endif
