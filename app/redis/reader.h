#ifndef SLUICE_REDIS_READER_H
#define SLUICE_REDIS_READER_H

/*
 * reader - the streams that one worker follows: by XREAD on connections of some 128 keys each; in a
 * cluster, where one XREAD cannot have keys of several slots, one by one, as the node that has it
 * tells that it has changed.
 *
 * A stream is first looked at (XINFO STREAM): what is written from then on is
 * handed on, once and in order, whatever becomes of the connection; and after each
 * interruption again: was it trimmed beyond where we stood, or is it another stream
 * by now? So it is every four seconds if it is quiet: of one that began anew with lower ids XREAD
 * would never tell. XREAD blocks, so a change of the set wakes it (CLIENT UNBLOCK). A connection
 * that follows nothing is closed.
 * Source: redis.io/commands/xread, xinfo-stream, client-unblock.
 */
#include "base/list.h"
#include "base/map.h"
#include "redis/command.h"
#include "redis/link.h"
#include "redis/stream_entry.h"

struct redisReply;
struct node;
struct readers;
struct reader;
struct reading;

/* What is followed; a part of whatever wants it. The fields are reader's, but for place. */
struct reader_stream {
	struct map_node by_key;
	struct list of_reader;
	struct reader *reader;
	struct reading *reading;   /* in a cluster: what was asked of it; NULL: nothing */
	const struct node *node;   /* there: who tells of its changes; NULL: nobody */
	struct stream_place place; /* entries up to here were handed on, or came before */
	bool is_looked_at;         /* since the connection is up, and since it was quiet */
	bool was_away;             /* the connection broke since it was looked at */
	bool is_known;             /* place holds */
	uint64_t seen_ms;          /* of the loop: it was looked at, or had an entry */
	bool is_refused;           /* by Redis, when it was looked at */
	bool has_news;             /* in a cluster: it has changed since it was asked for */
};

struct readers_ops {
	void (*on_entry)(struct reader_stream *stream, const struct stream_entry *entry);
	/* Entries behind stream->place will come from now on. Once. */
	void (*on_confirmed)(struct reader_stream *stream);
	/* Redis refuses this one: the key holds something else, or its ACL forbids. It is tried
	 * again each second, and this told each time. */
	void (*on_refused)(struct reader_stream *stream, const char *why);
	/* Some entries will never come: stream->place was moved to where it goes on. */
	void (*on_loss)(struct reader_stream *stream, enum stream_change change);
};

/* readers_new - tp is borrowed for its life. Returns 0, -ENOMEM. */
int readers_new(struct readers **out, uv_loop_t *loop, struct topology *tp,
		const struct readers_ops *ops);
void readers_free(struct readers *rds); /* takes NULL; its streams are left alone */

/* readers_set_command - through which sleeping readers are woken; NULL: they wake by themselves. */
void readers_set_command(struct readers *rds, struct command *command);

/*
 * readers_follow - one more stream, which must not be followed yet. The key is as Redis knows it,
 * with the prefix, borrowed until readers_leave(). No callback comes before it returns. Returns 0
 * (also while Redis is away), -ENOMEM.
 */
int readers_follow(struct readers *rds, struct reader_stream *stream, const char *key, size_t len);
void readers_leave(struct readers *rds, struct reader_stream *stream);
struct reader_stream *readers_find(const struct readers *rds, const char *key, size_t len);

/* readers_adopt - take over all streams of another, and go on where they stood. */
void readers_adopt(struct readers *rds, struct readers *from);

#endif
