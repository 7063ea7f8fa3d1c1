#include "redis/reader.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/logger.h"

enum {
	KEYS_MAX = 128,  /* of one connection: XREAD looks at each of them */
	COUNT = 200,     /* entries of one stream in one reply */
	BLOCK_MS = 3000, /* then a reader that was not woken looks for changes by itself */
	RETRY_MS = 500,  /* Redis is loading, or busy */
	LOOK_AFTER = 10, /* replies of XREAD without an entry */
};

enum reader_state { READER_DOWN, READER_IDLE, READER_LOOKING, READER_READING, READER_PAUSED };

struct reader {
	struct list of_readers;
	struct readers *readers;
	struct link *link;
	struct list streams;
	unsigned n_streams;
	enum reader_state state;
	struct reader_stream *awaited[KEYS_MAX]; /* whose XINFO was sent; NULL: left since */
	unsigned n_awaited, n_answered;
	bool is_id_asked;
	bool is_troubled; /* some XINFO found Redis loading */
	bool is_woken;    /* UNBLOCK is on its way */
	unsigned n_quiet;
	long long client_id;
	uv_timer_t retry;
};

struct readers {
	uv_loop_t *loop;
	struct topology *topology;
	const struct readers_ops *ops;
	struct command *command;
	struct list readers;
	struct map by_key;
};

/* What Redis says */

static const redisReply *
field(const redisReply *map, const char *name)
{
	size_t i;

	for (i = 0; map->type == REDIS_REPLY_ARRAY && i + 1 < map->elements; i += 2) {
		const redisReply *key = map->element[i];

		if (key->type == REDIS_REPLY_STRING && strcmp(key->str, name) == 0)
			return map->element[i + 1];
	}
	return NULL;
}

static bool
read_id(struct stream_id *id, const redisReply *reply)
{
	return reply != NULL && reply->type == REDIS_REPLY_STRING &&
	       stream_id_parse(id, reply->str, reply->len);
}

int
stream_info_read(struct stream_info *info, const redisReply *reply)
{
	const redisReply *first, *length, *added;

	memset(info, 0, sizeof(*info));
	if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "no such key") != NULL)
		return 0;
	if (reply->type != REDIS_REPLY_ARRAY ||
	    !read_id(&info->newest, field(reply, "last-generated-id")) ||
	    (length = field(reply, "length")) == NULL || length->type != REDIS_REPLY_INTEGER)
		return -EINVAL;
	info->length = (uint64_t)length->integer;
	added = field(reply, "entries-added"); /* since Redis 7 */
	if (added != NULL && added->type == REDIS_REPLY_INTEGER)
		info->n_added = (uint64_t)added->integer;
	first = field(reply, "first-entry");
	if (first != NULL && first->type == REDIS_REPLY_ARRAY && first->elements > 0)
		(void)read_id(&info->first, first->element[0]);
	return 0;
}

/* What we say */

static int
say(struct reader *rd, int argc, const char *const *argv)
{
	return link_send(rd->link, argc, argv, NULL);
}

static void
look(struct reader *rd)
{
	struct list *node;

	rd->n_awaited = rd->n_answered = 0;
	rd->is_troubled = false;
	rd->state = READER_LOOKING;
	for (node = rd->streams.next; node != &rd->streams; node = node->next) {
		struct reader_stream *st = LIST_ENTRY(node, struct reader_stream, of_reader);
		const char *argv[] = {"XINFO", "STREAM", st->by_key.key};

		if (st->is_looked_at)
			continue;
		if (say(rd, 3, argv) < 0) {
			link_fail(rd->link, "out of memory");
			return;
		}
		rd->awaited[rd->n_awaited++] = st;
	}
}

static void
read_streams(struct reader *rd)
{
	const char *argv[6 + 2 * KEYS_MAX] = {"XREAD", "COUNT"};
	static char ids[KEYS_MAX][STREAM_ID_TEXT], count[16], block[16];
	unsigned n = rd->n_streams, i = 0;
	struct list *node;

	snprintf(count, sizeof(count), "%d", COUNT);
	snprintf(block, sizeof(block), "%d", BLOCK_MS);
	argv[2] = count;
	argv[3] = "BLOCK";
	argv[4] = block;
	argv[5] = "STREAMS";
	for (node = rd->streams.next; node != &rd->streams; node = node->next, i++) {
		struct reader_stream *st = LIST_ENTRY(node, struct reader_stream, of_reader);

		stream_id_print(ids[i], &st->last);
		argv[6 + i] = st->by_key.key;
		argv[6 + n + i] = ids[i];
	}
	rd->state = READER_READING;
	rd->is_woken = false;
	if (say(rd, (int)(6 + 2 * n), argv) < 0)
		link_fail(rd->link, "out of memory");
}

static bool
all_are_looked_at(const struct reader *rd)
{
	const struct list *node;

	for (node = rd->streams.next; node != &rd->streams; node = node->next) {
		if (!LIST_ENTRY(node, struct reader_stream, of_reader)->is_looked_at)
			return false;
	}
	return true;
}

/* Nothing is on its way: what comes next. */
static void
go_on(struct reader *rd)
{
	if (rd->n_streams == 0)
		rd->state = READER_IDLE;
	else if (all_are_looked_at(rd))
		read_streams(rd);
	else
		look(rd);
}

static void
on_retry(uv_timer_t *timer)
{
	struct reader *rd = timer->data;

	if (rd->state == READER_PAUSED)
		go_on(rd);
}

static void
pause_reading(struct reader *rd)
{
	rd->state = READER_PAUSED;
	uv_timer_start(&rd->retry, on_retry, RETRY_MS, 0);
}

/* Its XREAD waits for entries of the old set. */
static void
wake(struct reader *rd)
{
	const char *argv[] = {"CLIENT", "UNBLOCK", NULL};
	char id[24];

	if (rd->state == READER_IDLE) {
		go_on(rd);
		return;
	}
	if (rd->state != READER_READING || rd->is_woken || rd->readers->command == NULL)
		return;
	snprintf(id, sizeof(id), "%lld", rd->client_id);
	argv[2] = id;
	rd->is_woken = command_send(rd->readers->command, NULL, NULL, 3, argv, NULL) == 0;
}

/* Replies */

/*
 * Between where we stood and what there is now: entries may have been trimmed, or it may be another
 * stream. XINFO counts what was ever added, so the gap is exact where Redis says it.
 */
static void
check_loss(struct reader *rd, struct reader_stream *st, const struct stream_info *info)
{
	const struct readers_ops *ops = rd->readers->ops;
	uint64_t n_gone = info->n_added - info->length;

	if (stream_id_compare(&info->newest, &st->last) < 0) {
		st->last = (struct stream_id){0, 0};
		st->n_added = 0;
		ops->on_loss(st, STREAM_BEGAN_ANEW);
	} else if (info->n_added > 0 && n_gone > st->n_added) {
		st->n_added = n_gone;
		ops->on_loss(st, STREAM_TRIMMED);
	}
}

static bool
is_passing_trouble(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ERROR &&
	       (strncmp(reply->str, "LOADING", 7) == 0 || strncmp(reply->str, "BUSY", 4) == 0 ||
		strncmp(reply->str, "MASTERDOWN", 10) == 0);
}

static void
looked_at(struct reader *rd, struct reader_stream *st, const redisReply *reply)
{
	struct stream_info info;

	if (stream_info_read(&info, reply) < 0) {
		if (is_passing_trouble(reply)) {
			rd->is_troubled = true;
			return;
		}
		readers_leave(rd->readers, st);
		rd->readers->ops->on_refused(st, reply->type == REDIS_REPLY_ERROR ? reply->str
										  : "no stream");
		return;
	}
	st->is_looked_at = true;
	if (st->is_known) {
		check_loss(rd, st, &info);
		return;
	}
	st->is_known = true;
	st->last = info.newest;
	st->n_added = info.n_added;
	rd->readers->ops->on_confirmed(st);
}

static void
on_info(struct reader *rd, const redisReply *reply)
{
	struct reader_stream *st = rd->awaited[rd->n_answered++];

	if (st != NULL) {
		rd->awaited[rd->n_answered - 1] = NULL;
		looked_at(rd, st, reply);
	}
	if (rd->n_answered < rd->n_awaited)
		return;
	if (rd->is_troubled)
		pause_reading(rd);
	else
		go_on(rd);
}

/* One of XREAD's streams: [key, [[id, [name, value, ...]], ...]]. Returns false if it makes no
 * sense.
 */
static bool
on_stream(struct reader *rd, const redisReply *reply)
{
	const redisReply *entries;
	struct reader_stream *st;
	size_t i;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	entries = reply->element[1];
	for (i = 0; i < entries->elements; i++) {
		const redisReply *one = entries->element[i];
		struct stream_entry entry;

		if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
		    !read_id(&entry.id, one->element[0]))
			return false;
		/* Found anew for each: a callback may have ended it. */
		st = readers_find(rd->readers, reply->element[0]->str, reply->element[0]->len);
		if (st == NULL || st->reader != rd || !st->is_known ||
		    stream_id_compare(&entry.id, &st->last) <= 0)
			continue;
		entry.fields = one->element[1];
		st->last = entry.id;
		st->n_added++;
		if (entry.fields->type == REDIS_REPLY_ARRAY)
			rd->readers->ops->on_entry(st, &entry);
	}
	return true;
}

/* One key that is no stream any more makes Redis refuse them all: look which. */
static void
forget_looks(struct reader *rd)
{
	struct list *node;

	for (node = rd->streams.next; node != &rd->streams; node = node->next)
		LIST_ENTRY(node, struct reader_stream, of_reader)->is_looked_at = false;
}

static void
on_entries(struct reader *rd, const redisReply *reply)
{
	size_t i;

	if (reply->type == REDIS_REPLY_ERROR) {
		forget_looks(rd);
		pause_reading(rd);
		return;
	}
	/* One that began anew with lower IDs would never be heard of. */
	if (reply->type != REDIS_REPLY_NIL)
		rd->n_quiet = 0;
	else if (!rd->is_woken && ++rd->n_quiet == LOOK_AFTER) {
		rd->n_quiet = 0;
		forget_looks(rd);
	}
	for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		if (!on_stream(rd, reply->element[i])) {
			link_fail(rd->link, "a reply to XREAD makes no sense");
			return;
		}
	}
	go_on(rd);
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct reader *rd = ctx;

	if (rd->is_id_asked) {
		rd->is_id_asked = false;
		rd->client_id = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
		go_on(rd);
	} else if (rd->state == READER_LOOKING) {
		on_info(rd, reply);
	} else if (rd->state == READER_READING) {
		on_entries(rd, reply);
	}
}

static void
on_up(void *ctx)
{
	static const char *const argv[] = {"CLIENT", "ID"};
	struct reader *rd = ctx;

	forget_looks(rd);
	rd->state = READER_DOWN;
	rd->is_id_asked = true;
	if (say(rd, 2, argv) < 0)
		link_fail(rd->link, "out of memory");
}

static void
on_down(void *ctx, const char *why)
{
	struct reader *rd = ctx;

	(void)why;
	rd->state = READER_DOWN;
	rd->is_id_asked = false;
	rd->n_awaited = rd->n_answered = 0;
}

/* An idle connection has nothing to say; one that reads answers within BLOCK_MS. */
static void
on_quiet(void *ctx)
{
	struct reader *rd = ctx;

	if (rd->state == READER_IDLE)
		on_up(rd);
}

static const struct link_ops link_ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

/* The pool */

static int
reader_new(struct reader **out, struct readers *rds)
{
	struct reader *rd = calloc(1, sizeof(*rd));
	int rc;

	if (rd == NULL)
		return -ENOMEM;
	rd->readers = rds;
	list_init(&rd->streams);
	if ((rc = link_new(&rd->link, rds->loop, "streams", rds->topology, &link_ops, rd)) < 0) {
		free(rd);
		return rc;
	}
	uv_timer_init(rds->loop, &rd->retry);
	rd->retry.data = rd;
	list_add_tail(&rds->readers, &rd->of_readers);
	*out = rd;
	return 0;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

static void
reader_free(struct reader *rd)
{
	list_del(&rd->of_readers);
	link_free(rd->link);
	uv_close((uv_handle_t *)&rd->retry, on_timer_closed);
}

int
readers_new(struct readers **out, uv_loop_t *loop, struct topology *tp,
	    const struct readers_ops *ops)
{
	struct readers *rds = calloc(1, sizeof(*rds));

	if (rds == NULL)
		return -ENOMEM;
	rds->loop = loop;
	rds->topology = tp;
	rds->ops = ops;
	list_init(&rds->readers);
	map_init(&rds->by_key);
	*out = rds;
	return 0;
}

void
readers_free(struct readers *rds)
{
	struct list *node, *tmp;

	if (rds == NULL)
		return;
	LIST_FOREACH (node, tmp, &rds->readers)
		reader_free(LIST_ENTRY(node, struct reader, of_readers));
	map_fini(&rds->by_key);
	free(rds);
}

void
readers_set_command(struct readers *rds, struct command *command)
{
	rds->command = command;
}

/* One with room, or a new one. */
static int
find_reader(struct reader **out, struct readers *rds)
{
	struct list *node;

	for (node = rds->readers.next; node != &rds->readers; node = node->next) {
		*out = LIST_ENTRY(node, struct reader, of_readers);
		if ((*out)->n_streams < KEYS_MAX)
			return 0;
	}
	return reader_new(out, rds);
}

static int
add(struct readers *rds, struct reader_stream *st, const char *key, size_t len)
{
	struct reader *rd;
	int rc;

	if ((rc = find_reader(&rd, rds)) < 0 ||
	    (rc = map_add(&rds->by_key, &st->by_key, key, len)) < 0)
		return rc;
	st->reader = rd;
	st->is_looked_at = false;
	list_add_tail(&rd->streams, &st->of_reader);
	rd->n_streams++;
	wake(rd);
	return 0;
}

int
readers_follow(struct readers *rds, struct reader_stream *st, const char *key, size_t len)
{
	memset(st, 0, sizeof(*st));
	list_init(&st->of_reader);
	return add(rds, st, key, len);
}

void
readers_leave(struct readers *rds, struct reader_stream *st)
{
	struct reader *rd = st->reader;
	unsigned i;

	if (rd == NULL)
		return;
	for (i = rd->n_answered; i < rd->n_awaited; i++) {
		if (rd->awaited[i] == st)
			rd->awaited[i] = NULL;
	}
	list_del(&st->of_reader);
	map_del(&rds->by_key, &st->by_key);
	rd->n_streams--;
	st->reader = NULL;
}

struct reader_stream *
readers_find(const struct readers *rds, const char *key, size_t len)
{
	struct map_node *node = map_find(&rds->by_key, key, len);

	return node != NULL ? MAP_ENTRY(node, struct reader_stream, by_key) : NULL;
}

void
readers_adopt(struct readers *rds, struct readers *from)
{
	struct list *reader, *node, *tmp;

	for (reader = from->readers.next; reader != &from->readers; reader = reader->next) {
		struct reader *rd = LIST_ENTRY(reader, struct reader, of_readers);

		LIST_FOREACH (node, tmp, &rd->streams) {
			struct reader_stream *st =
			    LIST_ENTRY(node, struct reader_stream, of_reader);

			readers_leave(from, st);
			if (add(rds, st, st->by_key.key, st->by_key.len) < 0)
				rds->ops->on_refused(st, "out of memory");
		}
	}
}
