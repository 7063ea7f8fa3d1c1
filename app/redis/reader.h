#ifndef SLUICE_REDIS_READER_H
#define SLUICE_REDIS_READER_H

/*
 * reader - the streams that one worker follows: by XREAD on connections of some 128 keys each; in a
 * cluster, where one XREAD cannot have keys of several slots, one by one, as the node that has it
 * tells that it has changed.
 *
 * A stream is first looked at (XINFO STREAM): what is written from then on is
 * handed on, once and in order, whatever becomes of the connection; and after each
 * interruption again: is the entry still there where we stood, was it trimmed beyond, or is it
 * another stream by now? So it is every four seconds if it is quiet: of one that began anew with
 * lower ids XREAD would never tell. XREAD blocks, so a change of the set wakes it (CLIENT UNBLOCK).
 * A connection that follows nothing is closed. Source: redis.io/commands/xread, xinfo-stream,
 * client-unblock.
 */
#include "base/list.h"
#include "base/map.h"
#include "redis/command.h"
#include "redis/link.h"
#include "redis/stream_entry.h"

struct node;
struct readers;
struct reader;
struct tracked_reading;

/*
 * A stream that is followed. Embedded by whatever follows it; all fields but place belong to the
 * reader.
 */
struct reader_stream {
	struct map_node by_key;
	struct list of_reader;
	struct reader *reader;
	struct tracked_reading *reading; /* in a cluster: the question that was asked; NULL: none */
	const struct node *node;   /* in a cluster: the node that reports its changes; NULL: none */
	struct stream_place place; /* entries up to here were passed on, or came before */
	bool is_looked_at;         /* since the connection is up, and since it was last quiet */
	bool is_entry_asked;       /* the question was for the place's entry, else XINFO */
	bool is_known;             /* place holds */
	uint64_t seen_ms;          /* the loop's time when it was last looked at, or had an entry */
	bool is_refused;           /* Redis refused, when it was looked at */
	bool has_news;             /* in a cluster: it has changed since it was asked for */
};

struct readers_ops {
	void (*on_entry)(struct reader_stream *stream, const struct stream_entry *entry);
	/* From now on entries behind stream->place come. Called once. */
	void (*on_confirmed)(struct reader_stream *stream);
	/*
	 * Redis refuses it: the key holds something else, or its ACL forbids it. It is tried again
	 * each second, and this is called each time.
	 */
	void (*on_refused)(struct reader_stream *stream, const char *why);
	/* Some entries will never come: stream->place was moved to where the stream goes on. */
	void (*on_loss)(struct reader_stream *stream, enum stream_change change);
};

/* readers.c: readers_new - tp is borrowed for its life. Returns 0, -ENOMEM. */
int readers_new(struct readers **out, uv_loop_t *loop, struct topology *tp,
		const struct readers_ops *ops);
void readers_free(struct readers *rds); /* takes NULL; its streams are left alone */

/*
 * readers_set_command - the link by which readers that block are woken; NULL: they wake by
 * themselves.
 */
void readers_set_command(struct readers *rds, struct command *command);

/*
 * readers_follow - adds a stream, which must not be followed yet. The key is as Redis knows it,
 * with the prefix, borrowed until readers_leave(). No callback is called before this returns.
 * Returns 0 (even while Redis is away), -ENOMEM.
 */
int readers_follow(struct readers *rds, struct reader_stream *stream, const char *key, size_t len);
void readers_leave(struct readers *rds, struct reader_stream *stream);
/* reader_stream.c: NULL if it is not followed */
struct reader_stream *readers_find(const struct readers *rds, const char *key, size_t len);

/* readers_adopt - takes over all streams of another, and goes on where they stood. */
void readers_adopt(struct readers *rds, struct readers *from);

#endif
