#ifndef SLUICE_REDIS_RECORDED_H
#define SLUICE_REDIS_RECORDED_H

/*
 * recorded - channels whose messages are kept in a stream beside them, so that they can be
 * replayed: the stream has the channel's name with ":log" behind it.
 *
 * Whoever publishes does both in one script. What is published then is the byte 0x1E, the entry's
 * ID, a line feed, and the message.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/stream_id.h"

#define RECORDED_SUFFIX ":log"

/* For EVAL: KEYS are the channel and its log, ARGV the message, how many are kept, and, if it is
 * not PUBLISH, by what it is published. Gives the ID and the number of receivers. */
#define RECORDED_SCRIPT \
	"local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[1])\n" \
	"return {id, redis.call(ARGV[3] or 'PUBLISH', KEYS[1], '\\30' .. id .. '\\n' .. ARGV[1])}"

/*
 * recorded_parse - if the text came from the script: its ID, and in *head the length of what stands
 * before the message.
 */
bool recorded_parse(struct stream_id *id, size_t *head, const char *text, size_t len);

#endif
