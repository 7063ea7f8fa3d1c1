#ifndef SLUICE_REDIS_IDEMPOTENCY_H
#define SLUICE_REDIS_IDEMPOTENCY_H

/*
 * idempotency - publishing that a client may repeat (its Idempotency-Key). The result is kept
 * beside the channel or stream for some time, under that key, and answers whoever sends the same
 * again.
 */
#define IDEMPOTENCY_INFIX ":once:"

/* For EVAL. The error that begins with this: the key is that of another message. */
#define IDEMPOTENCY_OTHER "ANOTHER"

/*
 * KEYS are the channel or stream, where the answer is kept, and the channel's log; ARGV the
 * message, the milliseconds, "channel", "stream" or "recorded", how many entries are kept (0: all),
 * what the publisher sent, of which the message was made: by that it is known again; and, if it is
 * not PUBLISH, by what it is published. Gives the number of receivers, or the entry's ID.
 */
#define IDEMPOTENCY_SCRIPT \
	"local kind, hash = ARGV[3], redis.sha1hex(ARGV[5])\n" \
	"local was = redis.call('GET', KEYS[2])\n" \
	"if was then\n" \
	"  if string.sub(was, 1, 40) ~= hash then\n" \
	"    return redis.error_reply('" IDEMPOTENCY_OTHER " message has this key')\n" \
	"  end\n" \
	"  was = string.sub(was, 41)\n" \
	"  return kind == 'channel' and tonumber(was) or was\n" \
	"end\n" \
	"local result\n" \
	"if kind == 'channel' then\n" \
	"  result = redis.call(ARGV[6] or 'PUBLISH', KEYS[1], ARGV[1])\n" \
	"else\n" \
	"  local key = kind == 'stream' and KEYS[1] or KEYS[3]\n" \
	"  if ARGV[4] == '0' then\n" \
	"    result = redis.call('XADD', key, '*', 'data', ARGV[1])\n" \
	"  else\n" \
	"    result = redis.call('XADD', key, 'MAXLEN', '~', ARGV[4], '*', 'data', ARGV[1])\n" \
	"  end\n" \
	"  if kind == 'recorded' then\n" \
	"    redis.call(ARGV[6] or 'PUBLISH', KEYS[1], '\\30' .. result .. '\\n' .. ARGV[1])\n" \
	"  end\n" \
	"end\n" \
	"redis.call('SET', KEYS[2], hash .. result, 'PX', ARGV[2])\n" \
	"return result"

#endif
