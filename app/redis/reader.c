#include "redis/reader_private.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	KEYS_MAX = 128,               /* of one connection, because XREAD looks at each of them */
	REPLY_SIZE = 4 * 1024 * 1024, /* the most bytes that one reply should have */
	/* after this time a reader that was not woken looks for changes by itself */
	BLOCK_MS = 3000,
	CLOSE_MS = 1000, /* after this time a connection that follows nothing is closed */
};

enum reader_state {
	READER_DOWN,
	READER_IDLE, /* it follows nothing */
	READER_LOOKING,
	READER_READING,
	READER_PAUSED,
	READER_REFUSED, /* Redis refuses all streams that it follows */
};

struct reader {
	struct list of_readers;
	struct readers *readers;
	struct link *link;
	struct list streams;
	unsigned n_streams;
	enum reader_state state;
	/* streams that are looked at; NULL: the stream was left since */
	struct reader_stream *awaited[KEYS_MAX];
	unsigned n_awaited, n_answered;
	bool is_id_asked;
	bool is_troubled;                    /* an XINFO found that Redis is loading */
	bool is_woken;                       /* UNBLOCK is on its way */
	unsigned n_refused_reads;            /* XREADs that were refused since one was answered */
	uint64_t quiet_at_ms, refused_at_ms; /* the loop's time when it looks again */
	size_t entry_size;                   /* of one entry in bytes, as far as is known */
	long long client_id;
	uv_timer_t retry;
};

static void reader_free(struct reader *rd);
static void on_retry(uv_timer_t *timer);

/* What we say */

static void
look(struct reader *rd)
{
	struct list *node;

	rd->n_awaited = rd->n_answered = 0;
	rd->is_troubled = false;
	rd->state = READER_LOOKING;
	for (node = rd->streams.next; node != &rd->streams; node = node->next) {
		struct reader_stream *st = LIST_ENTRY(node, struct reader_stream, of_reader);
		struct reader_question q;

		if (st->is_looked_at)
			continue;
		reader_look(&q, st);
		if (link_send(rd->link, reader_words(&q)) < 0) {
			link_fail(rd->link, "out of memory");
			return;
		}
		rd->awaited[rd->n_awaited++] = st;
	}
}

static uint64_t
now_ms(const struct reader *rd)
{
	return uv_now(rd->readers->loop);
}

/* How long XREAD may wait before something must be looked at. */
static unsigned
block_ms(const struct reader *rd)
{
	uint64_t now = now_ms(rd), at = now + BLOCK_MS, due;
	const struct list *node;

	for (node = rd->streams.next; node != &rd->streams; node = node->next) {
		const struct reader_stream *st = LIST_ENTRY(node, struct reader_stream, of_reader);

		if (st->is_refused)
			due = rd->refused_at_ms;
		else
			due = st->seen_ms + READER_QUIET_MS > rd->quiet_at_ms
				  ? st->seen_ms + READER_QUIET_MS
				  : rd->quiet_at_ms;
		if (due < at)
			at = due;
	}
	return at > now ? (unsigned)(at - now) : 1;
}

/* Adds the streams that Redis does not refuse. Returns how many. */
static unsigned
put_streams(struct reader *rd, const char **argv, char ids[][STREAM_ID_TEXT])
{
	struct list *node;
	unsigned n = 0, i;

	for (node = rd->streams.next; node != &rd->streams; node = node->next) {
		struct reader_stream *st = reader_stream_of(node);

		if (st->is_refused)
			continue;
		argv[n] = st->by_key.key;
		stream_id_print(ids[n++], &st->place.last);
	}
	for (i = 0; i < n; i++)
		argv[n + i] = ids[i];
	return n;
}

static void
read_streams(struct reader *rd)
{
	const char *argv[6 + 2 * KEYS_MAX] = {"XREAD", "COUNT", NULL, "BLOCK", NULL, "STREAMS"};
	static char ids[KEYS_MAX][STREAM_ID_TEXT];
	char count[16], block[16];
	unsigned n = put_streams(rd, argv + 6, ids);

	if (n == 0) {
		rd->state = READER_REFUSED;
		uv_timer_start(&rd->retry, on_retry, READER_REFUSED_MS, 0);
		return;
	}
	/* The reply is divided among the streams: after an interruption all may have much. */
	snprintf(count, sizeof(count), "%u", reader_count(REPLY_SIZE / n, rd->entry_size));
	snprintf(block, sizeof(block), "%u", block_ms(rd));
	argv[2] = count;
	argv[4] = block;
	rd->state = READER_READING;
	rd->is_woken = false;
	if (link_send(rd->link, (struct resp_words){(int)(6 + 2 * n), argv, NULL}) < 0)
		link_fail(rd->link, "out of memory");
}

/*
 * Marks the streams that were not looked at for too long. If there are many, they are looked at
 * together.
 */
static void
mark_due(struct reader *rd)
{
	uint64_t now = now_ms(rd);
	bool may_look = now >= rd->quiet_at_ms, is_refused_due = now >= rd->refused_at_ms;
	struct list *node;

	for (node = rd->streams.next; node != &rd->streams; node = node->next) {
		struct reader_stream *st = reader_stream_of(node);

		if (st->is_refused ? is_refused_due
				   : may_look && now - st->seen_ms >= READER_QUIET_MS)
			st->is_looked_at = false;
	}
	if (may_look)
		rd->quiet_at_ms = now + READER_TOGETHER_MS;
	if (is_refused_due)
		rd->refused_at_ms = now + READER_REFUSED_MS;
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

/* No command is on its way: decides what comes next. */
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

	if (rd->n_streams == 0) {
		reader_free(rd);
	} else if (rd->state == READER_PAUSED || rd->state == READER_REFUSED) {
		mark_due(rd);
		go_on(rd);
	}
}

static void
pause_reading(struct reader *rd)
{
	rd->state = READER_PAUSED;
	uv_timer_start(&rd->retry, on_retry, READER_PAUSE_MS, 0);
}

/* Its XREAD waits for entries of the old set of streams, so it is ended. */
static void
wake(struct reader *rd)
{
	char id[24];

	if (rd->state == READER_IDLE || rd->state == READER_REFUSED) {
		go_on(rd);
		return;
	}
	if (rd->state != READER_READING || rd->is_woken || rd->readers->command == NULL)
		return;
	snprintf(id, sizeof(id), "%lld", rd->client_id);
	rd->is_woken = command_send(rd->readers->command, NULL, NULL,
				    RESP_WORDS("CLIENT", "UNBLOCK", id)) == 0;
}

/* Replies */

static void
looked_at(struct reader *rd, struct reader_stream *st, const redisReply *reply)
{
	struct stream_info info;

	switch (reader_looked(rd->readers, st, &info, reply)) {
	case READER_PUT_OFF:
		rd->is_troubled = true;
		break;
	case READER_REFUSES:
		rd->refused_at_ms = now_ms(rd) + READER_REFUSED_MS;
		break;
	case READER_LOOK_ON:
		break;
	case READER_LOOKED:
		if (info.entry_size > rd->entry_size)
			rd->entry_size = info.entry_size;
	}
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

/* Takes one of XREAD's streams: [key, [entry, ...]]. Returns false if it makes no sense. */
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
		struct stream_entry entry;

		if (!stream_entry_parse(&entry, entries->element[i]))
			return false;
		/*
		 * The stream is looked up anew for each entry, because a callback may have ended
		 * it.
		 */
		st = readers_find(rd->readers, reply->element[0]->str, reply->element[0]->len);
		if (st != NULL && st->reader == rd && st->is_known)
			reader_entry(rd->readers, st, &entry);
	}
	if (entries->elements > 0)
		rd->entry_size = stream_entry_bytes(entries) / entries->elements + 1;
	return true;
}

static void
forget_looks(struct reader *rd)
{
	struct list *node;

	for (node = rd->streams.next; node != &rd->streams; node = node->next)
		reader_stream_of(node)->is_looked_at = false;
}

/*
 * If one key is no stream any more, Redis refuses the whole command: looks which. If it is none of
 * them, reading itself is refused.
 */
static void
on_read_refused(struct reader *rd, const redisReply *reply)
{
	struct list *node, *tmp;

	forget_looks(rd);
	pause_reading(rd);
	if (stream_reply_is_passing(reply) || rd->n_refused_reads++ == 0)
		return;
	LIST_FOREACH (node, tmp, &rd->streams)
		rd->readers->ops->on_refused(reader_stream_of(node), reply->str);
	uv_timer_start(&rd->retry, on_retry, READER_REFUSED_MS, 0);
}

static void
on_entries(struct reader *rd, const redisReply *reply)
{
	size_t i;

	if (reply->type == REDIS_REPLY_ERROR) {
		on_read_refused(rd, reply);
		return;
	}
	rd->n_refused_reads = 0;
	for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		if (!on_stream(rd, reply->element[i])) {
			link_fail(rd->link, "a reply to XREAD makes no sense");
			return;
		}
	}
	mark_due(rd);
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
	struct reader *rd = ctx;
	struct list *node, *tmp;

	forget_looks(rd);
	LIST_FOREACH (node, tmp, &rd->streams)
		stream_place_doubt(&reader_stream_of(node)->place);
	rd->state = READER_DOWN;
	rd->is_id_asked = true;
	if (link_send(rd->link, RESP_WORDS("CLIENT", "ID")) < 0)
		link_fail(rd->link, "out of memory");
}

static void
on_down(void *ctx, const char *why)
{
	struct reader *rd = ctx;

	(void)why;
	if (rd->state == READER_READING && rd->entry_size < REPLY_SIZE)
		rd->entry_size = rd->entry_size * 4 + 1; /* the reply may have been too long */
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

static int
begin(struct readers *rds)
{
	list_init(&rds->readers);
	return 0;
}

static void
end(struct readers *rds)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &rds->readers)
		reader_free(LIST_ENTRY(node, struct reader, of_readers));
}

static void
set_command(struct readers *rds, struct command *command)
{
	(void)rds;
	(void)command;
}

/* A reader with room, or a new one. */
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
add(struct readers *rds, struct reader_stream *st)
{
	struct reader *rd;
	int rc;

	if ((rc = find_reader(&rd, rds)) < 0)
		return rc;
	st->reader = rd;
	list_add_tail(&rd->streams, &st->of_reader);
	rd->n_streams++;
	wake(rd);
	return 0;
}

static void
remove_stream(struct readers *rds, struct reader_stream *st)
{
	struct reader *rd = st->reader;
	unsigned i;

	(void)rds;
	for (i = rd->n_answered; i < rd->n_awaited; i++) {
		if (rd->awaited[i] == st)
			rd->awaited[i] = NULL;
	}
	list_del(&st->of_reader);
	st->reader = NULL;
	if (--rd->n_streams == 0)
		uv_timer_start(&rd->retry, on_retry, CLOSE_MS, 0);
}

const struct reader_kind reader_blocking = {
    .begin = begin,
    .end = end,
    .set_command = set_command,
    .add = add,
    .remove = remove_stream,
};
