#include "redis/group.h"

#include <hiredis.h>

static const redisReply *
array(const redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_ARRAY ? reply : NULL;
}

const redisReply *
group_entries(const redisReply *reply)
{
	const redisReply *stream;

	if (array(reply) == NULL || reply->elements != 1 ||
	    (stream = array(reply->element[0])) == NULL || stream->elements != 2)
		return NULL;
	return array(stream->element[1]);
}

const redisReply *
group_claimed(const redisReply *reply, size_t *n_dead)
{
	if (array(reply) == NULL || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_INTEGER)
		return NULL;
	*n_dead = (size_t)reply->element[0]->integer;
	return array(reply->element[1]);
}
