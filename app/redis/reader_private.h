#ifndef SLUICE_REDIS_READER_PRIVATE_H
#define SLUICE_REDIS_READER_PRIVATE_H

/*
 * reader_private - what the ways to follow streams share. Only app/redis/reader*.c include it.
 */
#include "redis/reader.h"

enum {
	READER_QUIET_MS = 4000,   /* so often those are looked at that had no entry */
	READER_TOGETHER_MS = 500, /* and no more often any of them */
	READER_REFUSED_MS = 1000, /* and so often those that Redis refuses */
	READER_PAUSE_MS = 500,    /* Redis is loading, or busy */
};

/* A way to follow streams: where one server has them all, or where each has its place. */
struct reader_kind {
	int (*begin)(struct readers *rds); /* 0, -ENOMEM */
	void (*end)(struct readers *rds);
	void (*set_command)(struct readers *rds, struct command *command);
	int (*add)(struct readers *rds, struct reader_stream *st); /* 0, -ENOMEM */
	void (*remove)(struct readers *rds, struct reader_stream *st);
};
extern const struct reader_kind reader_blocking, reader_tracked;

struct readers {
	uv_loop_t *loop;
	struct topology *topology;
	const struct readers_ops *ops;
	const struct reader_kind *kind;
	struct command *command;
	struct list readers;     /* of reader_blocking */
	struct tracked *tracked; /* of reader_tracked */
	struct map by_key;
};

/* reader_stream.c: reader_look - what Redis is asked of a stream that is looked at. */
struct reader_question {
	int argc;
	const char *argv[6];
	char id[STREAM_ID_TEXT];
};
void reader_look(struct reader_question *q, struct reader_stream *st);

static inline struct resp_words
reader_words(const struct reader_question *q)
{
	return (struct resp_words){q->argc, q->argv, NULL};
}

static inline struct reader_stream *
reader_stream_of(struct list *of_reader)
{
	return LIST_ENTRY(of_reader, struct reader_stream, of_reader);
}

enum reader_look { READER_LOOKED, READER_LOOK_ON, READER_PUT_OFF, READER_REFUSES };

/*
 * reader_looked - what Redis answered. READER_LOOKED: *info has what XINFO said, and the stream's
 * owner was told. READER_LOOK_ON: the next question is to be asked.
 */
enum reader_look reader_looked(struct readers *rds, struct reader_stream *st,
			       struct stream_info *info, const struct redisReply *reply);

/*
 * reader_count - how many entries of one stream to ask for, so that they come to no more than size
 * bytes if each is as large as entry_size. At least one.
 */
unsigned reader_count(size_t size, size_t entry_size);

/* reader_entry - hand it on, unless it was already. */
void reader_entry(struct readers *rds, struct reader_stream *st, const struct stream_entry *entry);

#endif
