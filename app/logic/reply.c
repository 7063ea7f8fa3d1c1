#include "logic/reply.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <strings.h>

#include "base/json_text.h"

static int put_json(struct buf *b, const struct redisReply *reply, int depth);

static int
put_string(struct buf *b, const struct redisReply *reply)
{
	bool is_container = reply->len > 0 && (reply->str[0] == '{' || reply->str[0] == '[');

	if (is_container && json_text_check(reply->str, reply->len, NULL))
		return buf_put(b, reply->str, reply->len);
	return json_put_string(b, reply->str, reply->len);
}

static int
put_list(struct buf *b, const struct redisReply *reply, int depth)
{
	size_t i;
	int rc;

	if (depth == 0)
		return -EINVAL;
	rc = buf_putc(b, '[');
	for (i = 0; rc == 0 && i < reply->elements; i++) {
		if (i > 0 && (rc = buf_putc(b, ',')) < 0)
			return rc;
		rc = put_json(b, reply->element[i], depth - 1);
	}
	return rc < 0 ? rc : buf_putc(b, ']');
}

static int
put_json(struct buf *b, const struct redisReply *reply, int depth)
{
	switch (reply->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		return put_string(b, reply);
	case REDIS_REPLY_INTEGER:
		return buf_printf(b, "%lld", reply->integer);
	case REDIS_REPLY_NIL:
		return buf_puts(b, "null");
	case REDIS_REPLY_ARRAY:
		return put_list(b, reply, depth);
	default:
		return -EINVAL;
	}
}

static int
put_map(struct buf *b, const struct redisReply *reply)
{
	size_t i;
	int rc = buf_putc(b, '{');

	for (i = 0; rc == 0 && i + 1 < reply->elements; i += 2) {
		const struct redisReply *name = reply->element[i];

		if (name->type != REDIS_REPLY_STRING)
			return -EINVAL;
		if ((i > 0 && (rc = buf_putc(b, ',')) < 0) ||
		    (rc = json_put_string(b, name->str, name->len)) < 0 ||
		    (rc = buf_putc(b, ':')) < 0)
			return rc;
		rc = put_json(b, reply->element[i + 1], JSON_DEPTH_MAX);
	}
	return rc < 0 ? rc : buf_putc(b, '}');
}

int
reply_put(struct buf *b, const struct redisReply *reply, bool is_map)
{
	size_t before = b->len;
	int rc;

	if (reply->type == REDIS_REPLY_NIL ||
	    (is_map && reply->type == REDIS_REPLY_ARRAY && reply->elements == 0))
		return -ENOENT;
	if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS)
		return buf_put(b, reply->str, reply->len);
	if (is_map && reply->type == REDIS_REPLY_ARRAY)
		rc = put_map(b, reply);
	else
		rc = put_json(b, reply, JSON_DEPTH_MAX);
	if (rc < 0)
		buf_truncate(b, before);
	return rc;
}

static bool
is_text(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

int
reply_put_json(struct buf *b, const struct redisReply *reply, bool is_map)
{
	int rc;

	if (is_text(reply) && !json_text_check(reply->str, reply->len, NULL))
		return json_put_string(b, reply->str, reply->len);
	rc = reply_put(b, reply, is_map);
	return rc == -ENOENT ? buf_puts(b, "null") : rc;
}

bool
reply_is_map(const char *command)
{
	return strcasecmp(command, "HGETALL") == 0;
}

static bool
is_one_of(const char *command, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (strcasecmp(command, *names) == 0)
			return true;
	}
	return false;
}

/* Is it a JSON array of as many nulls as there are? */
static bool
is_nulls(const char *text, size_t len)
{
	static const char one[] = "null,";
	size_t n = sizeof(one) - 1;

	if (len < 2 || (len - 1) % n != 0 || text[0] != '[' || text[len - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < len; i++) {
		if (text[i] != one[(i - 1) % n])
			return false;
	}
	return true;
}

bool
reply_is_of_no_key(const char *command, const char *text, size_t len)
{
	static const char *const collections[] = {
	    "HGETALL",          "HKEYS",       "HVALS",         "LRANGE",
	    "SMEMBERS",         "XRANGE",      "XREVRANGE",     "ZRANGE",
	    "ZREVRANGE",        "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZREVRANGEBYLEX",
	    "ZREVRANGEBYSCORE", NULL};
	static const char *const members[] = {"HMGET",  "MGET",    "ZMSCORE",
					      "GEOPOS", "GEOHASH", NULL};

	if (len == 2 && memcmp(text, "[]", 2) == 0)
		return is_one_of(command, collections);
	return is_nulls(text, len) && is_one_of(command, members);
}

static bool
is_true_text(const char *text, size_t len)
{
	return len > 0 && !(len == 1 && *text == '0') &&
	       !(len == 2 && strncasecmp(text, "no", 2) == 0);
}

/* SMISMEMBER says 0 of each that is no member, and HMGET nil of each field that is not there. */
static bool
has_true(const struct redisReply *list)
{
	for (size_t i = 0; i < list->elements; i++) {
		if (reply_is_true(list->element[i]))
			return true;
	}
	return false;
}

bool
reply_is_true(const struct redisReply *reply)
{
	switch (reply->type) {
	case REDIS_REPLY_INTEGER:
		return reply->integer != 0;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		return is_true_text(reply->str, reply->len);
	case REDIS_REPLY_ARRAY:
		return has_true(reply);
	default:
		return false;
	}
}
