#ifndef SLUICE_REDIS_DIRECT_H
#define SLUICE_REDIS_DIRECT_H

/*
 * direct - one command to Redis, blocking: for the command line only.
 */
#include <stddef.h>

#include "redis/settings.h"

struct redisReply;

/*
 * redis_direct - try the URLs in turn, say one command, give its reply, which is the caller's
 * (freeReplyObject) and may be an error. On failure why gets one line for each URL tried.
 * Returns 0, -ENOTCONN, -ENOMEM.
 */
int redis_direct(const struct redis_settings *rs, int argc, const char *const *argv,
		 const size_t *lens, struct redisReply **out, char *why, size_t why_len);

#endif
