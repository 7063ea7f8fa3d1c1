#include "redis/replies.h"

#include <errno.h>
#include <hiredis.h>
#include <string.h>

/* Limits of one reply. */
enum {
	REPLY_MAX = 64 * 1024 * 1024, /* bytes */
	LINE_MAX_LEN = 64 * 1024, /* hiredis searches for its end from the beginning each time */
	HEAD_MAX_LEN = 32,        /* "9223372036854775807\r\n" */
};

/* hiredis moves everything that it was given and has not parsed, again and again. */
enum { FEED_SIZE = 2048 };

void
replies_init(struct replies *rs)
{
	rs->reader = NULL;
	reply_memory_init(&rs->memory);
}

void
replies_fini(struct replies *rs)
{
	replies_end(rs);
	reply_memory_fini(&rs->memory);
}

int
replies_begin(struct replies *rs)
{
	reply_memory_empty(&rs->memory); /* from a reply that was not completed */
	if ((rs->reader = redisReaderCreate()) == NULL)
		return -ENOMEM;
	reply_memory_serve(&rs->memory, rs->reader);
	rs->n_bytes = 0;
	return 0;
}

void
replies_end(struct replies *rs)
{
	if (rs->reader != NULL)
		redisReaderFree(rs->reader);
	rs->reader = NULL;
}

/*
 * The rest in hiredis's buffer is a string that is not complete, or a line without an end. Is it
 * such a line?
 */
static bool
is_endless_line(const redisReader *reader)
{
	return reader->len - reader->pos > LINE_MAX_LEN &&
	       memmem(reader->buf + reader->pos, HEAD_MAX_LEN, "\r\n", 2) == NULL;
}

/* What the reader has been given; see replies_take(). */
static const char *
take_whole(struct replies *rs, replies_fn fn, void *arg)
{
	redisReader *reader = rs->reader;
	void *reply;

	while (rs->reader == reader) {
		if (redisReaderGetReply(reader, &reply) != REDIS_OK)
			return reply_memory_has_too_many(&rs->memory)
				   ? "it sends a reply of more than 1 Mi elements"
				   : "what it sent is no Redis protocol";
		if (reply == NULL)
			break;
		rs->n_bytes = 0;
		fn(arg, reply);
		reply_memory_empty(&rs->memory);
	}
	if (rs->reader != reader)
		return NULL;
	if (rs->n_bytes > REPLY_MAX)
		return "it sends a reply of more than 64 MiB";
	return is_endless_line(reader) ? "it sends a line without end" : NULL;
}

const char *
replies_take(struct replies *rs, const char *bytes, size_t len, replies_fn fn, void *arg)
{
	redisReader *reader = rs->reader;
	const char *why = NULL;
	size_t at, n;

	for (at = 0; at < len && rs->reader == reader && why == NULL; at += n) {
		n = len - at < FEED_SIZE ? len - at : FEED_SIZE;
		if (redisReaderFeed(reader, bytes + at, n) != REDIS_OK)
			return reader->errstr;
		rs->n_bytes += n;
		why = take_whole(rs, fn, arg);
	}
	return why;
}
