#ifndef SLUICE_REDIS_REPLIES_H
#define SLUICE_REDIS_REPLIES_H

/*
 * replies - takes the bytes of one connection apart into replies, within limits, because a false
 * Redis may announce and send anything. Pure.
 *
 * The reader is hiredis's, without redisAsyncContext: the 0.14 of that aborts the process on
 * replies that a broken or false Redis may send, hands a message of an unknown channel to another
 * channel's callback, and cuts the connection on one refused SUBSCRIBE.
 */
#include <stddef.h>

#include "redis/reply_memory.h"

struct redisReader;
struct redisReply;

struct replies {
	struct redisReader *reader; /* NULL: there is no connection */
	size_t n_bytes;             /* of the reply that is not whole yet */
	struct reply_memory memory;
};

/* A reply, borrowed until it returns. It may call replies_end(), but not replies_begin(). */
typedef void (*replies_fn)(void *arg, const struct redisReply *reply);

void replies_init(struct replies *rs);
void replies_fini(struct replies *rs);

int replies_begin(struct replies *rs); /* a connection begins. Returns 0, -ENOMEM */
void replies_end(struct replies *rs);  /* it has ended: what is not whole is forgotten */

/*
 * replies_take - calls fn for each reply that is whole. Returns NULL, also if fn ended it; or what
 * is wrong with the bytes, borrowed until replies_end(), which must follow.
 */
const char *
replies_take(struct replies *rs, const char *bytes, size_t len, replies_fn fn, void *arg);

#endif
