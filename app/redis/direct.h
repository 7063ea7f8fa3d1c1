#ifndef SLUICE_REDIS_DIRECT_H
#define SLUICE_REDIS_DIRECT_H

/*
 * direct - sends one command to Redis and waits for the answer; only for the command line.
 */
#include <stddef.h>

#include "redis/resp.h"
#include "redis/settings.h"

struct redisReply;

/*
 * redis_direct - tries the URLs one after the other, sends the command, and returns the reply,
 * which is the caller's (freeReplyObject) and may be an error. On failure why gets one line for
 * each URL. Returns 0, -ENOTCONN, -ENOMEM.
 */
int redis_direct(const struct redis_settings *rs, struct resp_words words, struct redisReply **out,
		 char *why, size_t why_len);

#endif
