#include "redis/key_value.h"

#include <hiredis.h>
#include <stdbool.h>
#include <string.h>

const redisReply *
key_value_read(const redisReply *reply, bool *is_map)
{
	*is_map = false;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return NULL;
	*is_map = strcmp(reply->element[0]->str, "hash") == 0;
	return reply->element[1];
}
