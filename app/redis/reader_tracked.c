#include "redis/reader_private.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/closing.h"
#include "redis/nodes.h"

enum {
	ASKED_MAX = 64,          /* how many streams are asked for at a time */
	REPLY_SIZE = 256 * 1024, /* the most bytes that one reply should have */
	TICK_MS = 250,           /* how often streams are asked for whose changes no node reports */
};

/*
 * Each stream that is not being asked for is in one of the lists. due: it waits for its turn. late:
 * until the next tick, or while it is refused. idle: its node reports when it changes.
 */
struct tracked {
	struct readers *readers;
	struct list due, late, idle;
	struct list asked; /* readings */
	unsigned n_asked;
	uint64_t quiet_at_ms, refused_at_ms; /* the loop's time when it looks again */
	size_t entry_size;                   /* of one entry in bytes, as far as is known */
	struct nodes_watcher watcher;
	uv_timer_t soon, tick;
	struct closing closing;
};

/* A question on its way. */
struct tracked_reading {
	struct list of_tracked;
	struct tracked *tracked;      /* NULL: it has gone */
	struct reader_stream *stream; /* NULL: it was left */
	const struct node *node;      /* the node that reports the next change */
	unsigned count;
	bool had_news;
	bool is_stale; /* the stream was to be looked at anew since it was asked */
};

static uint64_t
now_ms(const struct tracked *t)
{
	return uv_now(t->readers->loop);
}

static void on_soon(uv_timer_t *timer);

static void
make_due(struct tracked *t, struct reader_stream *st)
{
	list_move_tail(&t->due, &st->of_reader);
	if (t->n_asked < ASKED_MAX && !uv_is_active((uv_handle_t *)&t->soon))
		uv_timer_start(&t->soon, on_soon, 0, 0);
}

static void
make_late(struct tracked *t, struct reader_stream *st)
{
	list_move_tail(&t->late, &st->of_reader);
}

/* A stream that is being asked for is looked at when the answer has come. */
static void
look_anew(struct tracked *t, struct reader_stream *st)
{
	st->is_looked_at = false;
	stream_place_doubt(&st->place);
	st->node = NULL;
	if (st->reading != NULL)
		st->reading->is_stale = true;
	else if (!st->is_refused)
		make_due(t, st);
}

/* Answers. A stream may be left and freed in any callback of its owner. */

enum next { NEXT_DUE, NEXT_LATE, NEXT_IDLE };

/* Slots may have moved while the answer was on its way. */
static bool
is_at_its_place(const struct tracked *t, const struct reader_stream *st)
{
	return st->node ==
	       nodes_of_key(topology_nodes(t->readers->topology), st->by_key.key, st->by_key.len);
}

/* The question is answered. The stream, if it is still followed, goes into its list. */
static void
finish(struct tracked_reading *rg, enum next next)
{
	struct reader_stream *st = rg->stream;
	struct tracked *t = rg->tracked;

	list_del(&rg->of_tracked);
	free(rg);
	if (t == NULL)
		return;
	if (t->n_asked-- == ASKED_MAX && !list_is_empty(&t->due))
		uv_timer_start(&t->soon, on_soon, 0, 0);
	if (st == NULL)
		return;
	st->reading = NULL;
	if (next == NEXT_IDLE && !is_at_its_place(t, st)) {
		st->is_looked_at = false;
		stream_place_doubt(&st->place);
	}
	if (next == NEXT_IDLE && !st->is_looked_at)
		next = NEXT_DUE;
	if (next == NEXT_DUE || (st->has_news && !st->is_refused && next == NEXT_IDLE))
		make_due(t, st);
	else if (next == NEXT_LATE)
		make_late(t, st);
	else
		list_move_tail(&t->idle, &st->of_reader);
}

/* If the place is the stream's end and changes are reported, there is nothing to read. */
static enum next
after_look(const struct reader_stream *st, const struct stream_info *info)
{
	if (st->node != NULL && stream_id_compare(&info->newest, &st->place.last) <= 0)
		return NEXT_IDLE;
	return NEXT_DUE;
}

static void
on_info(void *arg, const redisReply *reply)
{
	struct tracked_reading *rg = arg;
	struct tracked *t = rg->tracked;
	enum next next = NEXT_LATE;
	struct stream_info info;

	if (rg->stream == NULL || reply == NULL) {
		finish(rg, NEXT_LATE);
		return;
	}
	if (rg->is_stale) {
		finish(rg, NEXT_DUE);
		return;
	}
	switch (reader_looked(t->readers, rg->stream, &info, reply)) {
	case READER_PUT_OFF:
		break;
	case READER_REFUSES:
		t->refused_at_ms = now_ms(t) + READER_REFUSED_MS;
		break;
	case READER_LOOK_ON:
		next = NEXT_DUE;
		break;
	case READER_LOOKED:
		if (info.entry_size > t->entry_size)
			t->entry_size = info.entry_size;
		if (rg->stream != NULL)
			next = after_look(rg->stream, &info);
	}
	finish(rg, next);
}

/* [[key, [entry, ...]]]. NULL: there are none. */
static const redisReply *
entries_of(const redisReply *reply)
{
	const redisReply *one;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1)
		return NULL;
	one = reply->element[0];
	if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
	    one->element[1]->type != REDIS_REPLY_ARRAY)
		return NULL;
	return one->element[1];
}

static void
hand_on(struct tracked_reading *rg, const redisReply *entries)
{
	struct tracked *t = rg->tracked;

	for (size_t i = 0; i < entries->elements; i++) {
		struct stream_entry entry;

		if (rg->stream != NULL && stream_entry_parse(&entry, entries->element[i]))
			reader_entry(t->readers, rg->stream, &entry);
	}
	t->entry_size = stream_entry_bytes(entries) / entries->elements + 1;
}

/* Either the key is refused because it is no stream, or reading is refused: XINFO tells which. */
static void
on_refusal(struct tracked_reading *rg, const redisReply *reply)
{
	struct reader_stream *st = rg->stream;
	struct tracked *t = rg->tracked;

	st->is_looked_at = false;
	if (!stream_reply_is_passing(reply)) {
		st->is_refused = true;
		t->refused_at_ms = now_ms(t) + READER_REFUSED_MS;
		t->readers->ops->on_refused(st, reply->str);
	}
	finish(rg, NEXT_LATE);
}

/* It has changed, but nothing was added: it was trimmed, deleted, or begun anew. */
static void
on_nothing(struct tracked_reading *rg)
{
	struct reader_stream *st = rg->stream;

	st->node = rg->node;
	if (rg->had_news) {
		st->is_looked_at = false;
		finish(rg, NEXT_DUE);
	} else {
		finish(rg, st->node != NULL ? NEXT_IDLE : NEXT_LATE);
	}
}

static void
on_entries(void *arg, const redisReply *reply)
{
	struct tracked_reading *rg = arg;
	const redisReply *entries;
	bool is_all;

	if (rg->stream == NULL || reply == NULL) {
		if (rg->stream != NULL) {
			rg->stream->is_looked_at = false;
			stream_place_doubt(&rg->stream->place);
		}
		finish(rg, NEXT_LATE);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		on_refusal(rg, reply);
	} else if ((entries = entries_of(reply)) == NULL || entries->elements == 0) {
		on_nothing(rg);
	} else {
		is_all = entries->elements < rg->count;
		hand_on(rg, entries);
		if (rg->stream != NULL)
			rg->stream->node = rg->node;
		finish(rg, !is_all ? NEXT_DUE : rg->node != NULL ? NEXT_IDLE : NEXT_LATE);
	}
}

/* Questions */

static int
say(struct tracked *t, struct reader_stream *st, struct tracked_reading *rg)
{
	struct command *command = t->readers->command;
	struct reader_question look;
	char id[STREAM_ID_TEXT], count[16];
	const char *read[] = {"XREAD", "COUNT", count, "STREAMS", st->by_key.key, id};

	if (command == NULL)
		return -ENOTCONN;
	if (!st->is_looked_at) {
		reader_look(&look, st);
		return command_send(command, on_info, rg, reader_words(&look));
	}
	rg->count = reader_count(REPLY_SIZE, t->entry_size);
	snprintf(count, sizeof(count), "%u", rg->count);
	stream_id_print(id, &st->place.last);
	return command_read(command, on_entries, rg, &rg->node, RESP_ARRAY(read));
}

static void
ask(struct tracked *t, struct reader_stream *st)
{
	struct tracked_reading *rg = calloc(1, sizeof(*rg));

	if (rg == NULL) {
		make_late(t, st);
		return;
	}
	list_init(&rg->of_tracked);
	rg->tracked = t;
	rg->stream = st;
	rg->had_news = st->has_news;
	if (say(t, st, rg) < 0) {
		free(rg);
		make_late(t, st);
		return;
	}
	st->has_news = false;
	list_del(&st->of_reader);
	st->reading = rg;
	list_add_tail(&t->asked, &rg->of_tracked);
	t->n_asked++;
}

static void
on_soon(uv_timer_t *timer)
{
	struct tracked *t = timer->data;

	while (t->n_asked < ASKED_MAX && !list_is_empty(&t->due))
		ask(t, reader_stream_of(t->due.next));
}

/*
 * Looks at streams that were not looked at for too long. If there are many, they are looked at
 * together.
 */
static void
look_at_quiet(struct tracked *t, uint64_t now)
{
	struct list *node, *tmp;

	if (now < t->quiet_at_ms)
		return;
	t->quiet_at_ms = now + READER_TOGETHER_MS;
	LIST_FOREACH (node, tmp, &t->idle) {
		if (now - reader_stream_of(node)->seen_ms >= READER_QUIET_MS) {
			reader_stream_of(node)->is_looked_at = false;
			make_due(t, reader_stream_of(node));
		}
	}
}

static void
on_tick(uv_timer_t *timer)
{
	struct tracked *t = timer->data;
	uint64_t now = now_ms(t);
	bool is_refused_due = now >= t->refused_at_ms;
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &t->late) {
		struct reader_stream *st = reader_stream_of(node);

		if (st->is_refused && !is_refused_due)
			continue;
		if (st->is_refused || now - st->seen_ms >= READER_QUIET_MS)
			st->is_looked_at = false;
		make_due(t, st);
	}
	if (is_refused_due)
		t->refused_at_ms = now + READER_REFUSED_MS;
	look_at_quiet(t, now);
}

/* What nodes tell */

static void
note_news(struct tracked *t, struct reader_stream *st)
{
	st->has_news = true;
	if (st->reading == NULL && !st->is_refused)
		make_due(t, st);
}

static void
on_key(void *ctx, const char *key, size_t len)
{
	struct tracked *t = ctx;
	struct reader_stream *st;
	struct map_node *node;

	if (key != NULL) {
		if ((st = readers_find(t->readers, key, len)) != NULL)
			note_news(t, st);
		return;
	}
	for (node = map_first(&t->readers->by_key); node != NULL;
	     node = map_next(&t->readers->by_key, node))
		note_news(t, MAP_ENTRY(node, struct reader_stream, by_key));
}

/*
 * Looks at the streams whose changes this node reported; or, if which is NULL, at those that are
 * not at their place.
 */
static void
look_anew_all(struct tracked *t, const struct node *which)
{
	const struct nodes *nodes = topology_nodes(t->readers->topology);
	struct map_node *n;

	for (n = map_first(&t->readers->by_key); n != NULL; n = map_next(&t->readers->by_key, n)) {
		struct reader_stream *st = MAP_ENTRY(n, struct reader_stream, by_key);

		if (st->node == NULL)
			continue;
		if (which != NULL ? st->node == which
				  : st->node != nodes_of_key(nodes, n->key, n->len))
			look_anew(t, st);
	}
}

static void
on_lost(void *ctx, const struct node *node)
{
	look_anew_all(ctx, node);
}

static void
on_change(struct nodes_watcher *watcher)
{
	look_anew_all(LIST_ENTRY(watcher, struct tracked, watcher), NULL);
}

static const struct command_tracker tracker = {.on_key = on_key, .on_lost = on_lost};

/* Life */

static int
begin(struct readers *rds)
{
	struct tracked *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->readers = rds;
	list_init(&t->due);
	list_init(&t->late);
	list_init(&t->idle);
	list_init(&t->asked);
	t->watcher.on_change = on_change;
	nodes_watch(topology_nodes(rds->topology), &t->watcher);
	uv_timer_init(rds->loop, &t->soon);
	uv_timer_init(rds->loop, &t->tick);
	t->soon.data = t->tick.data = t;
	uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
	rds->tracked = t;
	return 0;
}

static void
on_closed(struct closing *closing)
{
	free(LIST_ENTRY(closing, struct tracked, closing));
}

static void
end(struct readers *rds)
{
	struct tracked *t = rds->tracked;
	struct list *n, *tmp;

	LIST_FOREACH (n, tmp, &t->asked) {
		struct tracked_reading *rg = LIST_ENTRY(n, struct tracked_reading, of_tracked);

		if (rg->stream != NULL)
			rg->stream->reading = NULL;
		rg->stream = NULL;
		rg->tracked = NULL;
		list_del(n);
	}
	if (rds->command != NULL)
		command_untrack(rds->command, t);
	nodes_unwatch(&t->watcher);
	closing_begin(&t->closing, on_closed);
	closing_add(&t->closing, (uv_handle_t *)&t->soon);
	closing_add(&t->closing, (uv_handle_t *)&t->tick);
}

/* A new link does not report changes of what was read by the last one. */
static void
set_command(struct readers *rds, struct command *command)
{
	struct tracked *t = rds->tracked;
	struct map_node *n;

	if (rds->command != NULL)
		command_untrack(rds->command, t);
	if (command != NULL)
		command_track(command, &tracker, t);
	for (n = map_first(&rds->by_key); n != NULL; n = map_next(&rds->by_key, n))
		look_anew(t, MAP_ENTRY(n, struct reader_stream, by_key));
}

static int
add(struct readers *rds, struct reader_stream *st)
{
	st->node = NULL;
	st->has_news = false;
	make_due(rds->tracked, st);
	return 0;
}

static void
remove_stream(struct readers *rds, struct reader_stream *st)
{
	(void)rds;
	if (st->reading != NULL)
		st->reading->stream = NULL;
	st->reading = NULL;
	list_del(&st->of_reader);
	list_init(&st->of_reader);
}

const struct reader_kind reader_tracked = {
    .begin = begin,
    .end = end,
    .set_command = set_command,
    .add = add,
    .remove = remove_stream,
};
