#include "source/keyspace.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/counters.h"
#include "base/json_text.h"
#include "hub/refusal.h"
#include "logic/reply.h"
#include "redis/command.h"
#include "redis/key_value.h"
#include "redis/stream_entry.h"
#include "source/kinds.h"
#include "source/live.h"

enum {
	DATA_MAX = 512 * 1024 * 1024, /* Redis's longest key, or what it holds */
	KEY_MAX = 64 * 1024,
	AGAIN_MS = 300,
	WAITING_MAX = 100000, /* operations that wait, over all feeds */
};

/* What all feeds of the worker share. */
struct keyspace {
	struct hub_part part;
	struct hub *hub;
	struct map readings;
	struct list due;    /* readings that are asked at the turn's end */
	struct list failed; /* readings that failed and are asked again soon */
	size_t n_waiting;   /* operations */
	uv_timer_t soon, again;
};

/* The value of a key, as JSON, shared by all that wait for it. */
struct value {
	unsigned n_refs;
	struct buf json;
};

/* An operation that a feed was told of, and that waits for the key's value. */
struct operation {
	struct list of_reading;
	struct list of_feed; /* in the order in which they came */
	struct feed *feed;
	struct keyspace *keyspace;
	bool is_read;
	struct value *value; /* NULL: it could not be read */
	size_t key_len;
	const char *name; /* behind the key */
	char key[];
};

/* A key whose value will be read, or is being read. */
struct value_reading {
	struct map_node by_key;
	struct list of_keyspace;   /* in keyspace->due or ->failed */
	struct keyspace *keyspace; /* NULL: it has gone */
	struct list asked;         /* operations that came before the key was asked */
	struct list wanted;        /* operations that came since then, for the next reading */
	bool is_asked;
	char key[]; /* without the prefix */
};

/* Telling */

static int
put_data(struct buf *b, const char *key, size_t key_len, const struct value *value)
{
	int rc;

	if ((rc = buf_puts(b, "{\"key\":")) < 0 || (rc = json_put_string(b, key, key_len)) < 0 ||
	    (value != NULL && ((rc = buf_puts(b, ",\"value\":")) < 0 ||
			       (rc = buf_put(b, value->json.p, value->json.len)) < 0)) ||
	    (rc = buf_putc(b, '}')) < 0)
		return rc;
	return buf_putc(b, '\0');
}

/* The operation becomes the event's name, and the message's text. */
static void
tell(struct feed *fd, const char *key, size_t key_len, const char *name, const struct value *value)
{
	struct message msg;
	struct buf data;
	int rc;

	buf_init(&data, DATA_MAX);
	if ((rc = put_data(&data, key, key_len, value)) < 0) {
		feed_count_drop(fd, rc);
	} else {
		message_init(&msg, key, key_len, data.p, data.len - 1);
		msg.text = name;
		msg.text_len = strlen(name);
		message_set_event(&msg, name);
		feed_message(fd, &msg);
		message_fini(&msg);
	}
	buf_fini(&data);
}

/* Values */

static void
value_unref(struct value *value)
{
	if (value == NULL || --value->n_refs > 0)
		return;
	buf_fini(&value->json);
	free(value);
}

/* The result has one reference, the caller's. NULL: out of memory, or too large. */
static struct value *
read_value(const redisReply *reply)
{
	struct value *value = calloc(1, sizeof(*value));
	const redisReply *held;
	bool is_map;

	if (value == NULL)
		return NULL;
	value->n_refs = 1;
	buf_init(&value->json, DATA_MAX);
	held = key_value_read(reply, &is_map);
	if ((held != NULL ? reply_put_json(&value->json, held, is_map)
			  : buf_puts(&value->json, "null")) == 0)
		return value;
	value_unref(value);
	return NULL;
}

/* Operations */

static void
operation_free(struct operation *op)
{
	op->keyspace->n_waiting--;
	list_del(&op->of_reading);
	list_del(&op->of_feed);
	value_unref(op->value);
	free(op);
}

static struct operation *
operation_new(struct keyspace *ks, struct feed *fd, const struct message *msg)
{
	struct operation *op;
	size_t len = msg->channel_len + msg->data_len + 2;
	char *name;

	if (live_need(fd) == NULL || (op = calloc(1, sizeof(*op) + len)) == NULL)
		return NULL;
	op->feed = fd;
	op->keyspace = ks;
	op->key_len = msg->channel_len;
	memcpy(op->key, msg->channel, msg->channel_len);
	name = op->key + msg->channel_len + 1;
	memcpy(name, msg->data, msg->data_len);
	op->name = name;
	list_init(&op->of_reading);
	list_add_tail(&live_of(fd)->operations, &op->of_feed);
	ks->n_waiting++;
	return op;
}

/* Sends all operations up to the first that still waits. */
static void
tell_ready(struct feed *fd)
{
	struct list *waiting = &live_of(fd)->operations;

	while (!list_is_empty(waiting)) {
		struct operation *op = LIST_ENTRY(waiting->next, struct operation, of_feed);

		if (!op->is_read)
			return;
		tell(fd, op->key, op->key_len, op->name, op->value);
		operation_free(op);
	}
}

/* Readings */

static void
reading_free(struct value_reading *rd)
{
	map_del(&rd->keyspace->readings, &rd->by_key);
	list_del(&rd->of_keyspace);
	free(rd);
}

static struct value_reading *
reading_new(struct keyspace *ks, const struct message *msg)
{
	struct value_reading *rd = calloc(1, sizeof(*rd) + msg->channel_len + 1);

	if (rd == NULL)
		return NULL;
	memcpy(rd->key, msg->channel, msg->channel_len);
	if (map_add(&ks->readings, &rd->by_key, rd->key, msg->channel_len) < 0) {
		free(rd);
		return NULL;
	}
	rd->keyspace = ks;
	list_init(&rd->of_keyspace);
	list_init(&rd->asked);
	list_init(&rd->wanted);
	return rd;
}

/* Gives the value to all operations that came before it was asked. NULL: it could not be read. */
static void
give(struct value_reading *rd, struct value *value)
{
	while (!list_is_empty(&rd->asked)) {
		struct operation *op = LIST_ENTRY(rd->asked.next, struct operation, of_reading);

		list_del(&op->of_reading);
		op->is_read = true;
		op->value = value;
		if (value != NULL)
			value->n_refs++;
		tell_ready(op->feed);
	}
}

static void
tell_refusal(const struct value_reading *rd, const char *why)
{
	struct list *node;

	for (node = rd->asked.next; node != &rd->asked; node = node->next)
		class_tell_refusal(LIST_ENTRY(node, struct operation, of_reading)->feed->class,
				   rd->key, why);
}

static void on_again(uv_timer_t *timer);

static void
fail(struct value_reading *rd)
{
	struct keyspace *ks = rd->keyspace;

	list_splice_tail(&rd->wanted, &rd->asked);
	list_move_tail(&ks->failed, &rd->of_keyspace);
	if (!uv_is_active((uv_handle_t *)&ks->again))
		uv_timer_start(&ks->again, on_again, AGAIN_MS, 0);
}

static void ask(struct value_reading *rd);

static void
take_answer(struct value_reading *rd, const redisReply *reply)
{
	struct value *value = NULL;

	if (reply == NULL || stream_reply_is_passing(reply)) {
		fail(rd);
		return;
	}
	if (reply->type == REDIS_REPLY_ERROR)
		tell_refusal(rd, reply->str);
	else
		value = read_value(reply);
	give(rd, value);
	value_unref(value);
	if (list_is_empty(&rd->wanted))
		reading_free(rd);
	else
		ask(rd);
}

static void
on_answer(void *arg, const redisReply *reply)
{
	struct value_reading *rd = arg;

	rd->is_asked = false;
	if (rd->keyspace == NULL)
		free(rd);
	else
		take_answer(rd, reply);
}

static int
send_question(struct value_reading *rd)
{
	const struct hub *hub = rd->keyspace->hub;
	const char *argv[] = {"EVAL", KEY_VALUE_SCRIPT, "1", NULL};
	const char *prefix = subjects_prefix(hub->subjects);
	size_t lens[] = {strlen(argv[0]), strlen(argv[1]), strlen(argv[2]), 0};
	struct buf key;
	int rc;

	if (hub->command == NULL)
		return -ENOTCONN;
	buf_init(&key, DATA_MAX);
	if ((rc = buf_puts(&key, prefix)) == 0 &&
	    (rc = buf_put(&key, rd->by_key.key, rd->by_key.len)) == 0) {
		argv[3] = key.len > 0 ? key.p : "";
		lens[3] = key.len;
		rc = command_send(hub->command, on_answer, rd, (struct resp_words){4, argv, lens});
	}
	buf_fini(&key);
	return rc;
}

static void
ask(struct value_reading *rd)
{
	list_del(&rd->of_keyspace);
	list_splice_tail(&rd->asked, &rd->wanted);
	if (list_is_empty(&rd->asked))
		reading_free(rd); /* nobody waits for it any more */
	else if (send_question(rd) < 0)
		fail(rd);
	else
		rd->is_asked = true;
}

static void
ask_all(struct list *readings)
{
	struct list some;

	list_init(&some);
	list_splice_tail(&some, readings); /* a reading that fails again is added to the list */
	while (!list_is_empty(&some))
		ask(LIST_ENTRY(some.next, struct value_reading, of_keyspace));
}

static void
on_soon(uv_timer_t *timer)
{
	ask_all(&LIST_ENTRY(timer, struct keyspace, soon)->due);
}

static void
on_again(uv_timer_t *timer)
{
	ask_all(&LIST_ENTRY(timer, struct keyspace, again)->failed);
}

/*
 * The key is read at the turn's end: so all feeds that are told of this change, by other patterns
 * too, share the reading, and so do the changes that came with it.
 */
static int
want(struct operation *op, const struct message *msg)
{
	struct keyspace *ks = op->keyspace;
	struct map_node *node = map_find(&ks->readings, msg->channel, msg->channel_len);
	struct value_reading *rd =
	    node != NULL ? MAP_ENTRY(node, struct value_reading, by_key) : reading_new(ks, msg);

	if (rd == NULL)
		return -ENOMEM;
	list_add_tail(&rd->wanted, &op->of_reading);
	if (node == NULL) {
		list_add_tail(&ks->due, &rd->of_keyspace);
		if (!uv_is_active((uv_handle_t *)&ks->soon))
			uv_timer_start(&ks->soon, on_soon, 0, 0);
	}
	return 0;
}

/*
 * Redis tells of changes faster than it answers, or memory is short. The subscribers are told once
 * that something is missing.
 */
static void
lose(struct feed *fd)
{
	struct live *live = live_need(fd);

	feed_count_drop(fd, -ENOMEM);
	if (live == NULL || live->has_lost_operations)
		return;
	live->has_lost_operations = true;
	feed_reset(fd, "{\"reason\":\"redis\"}");
}

static void
wait_for_value(struct keyspace *ks, struct feed *fd, const struct message *msg)
{
	struct operation *op = NULL;

	if (ks->n_waiting < WAITING_MAX && msg->channel_len <= KEY_MAX &&
	    (op = operation_new(ks, fd, msg)) != NULL && want(op, msg) == 0) {
		live_of(fd)->has_lost_operations = false;
		return;
	}
	if (op != NULL)
		operation_free(op);
	lose(fd);
}

void
keyspace_forget(struct feed *fd)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &live_of(fd)->operations)
		operation_free(LIST_ENTRY(node, struct operation, of_feed));
}

/* Of the worker */

/* A reading that was asked is freed by its answer, which always comes. */
static void
close_part(struct hub_part *part, struct closing *closing)
{
	struct keyspace *ks = LIST_ENTRY(part, struct keyspace, part);
	struct map_node *node;

	while ((node = map_first(&ks->readings)) != NULL) {
		struct value_reading *rd = MAP_ENTRY(node, struct value_reading, by_key);

		map_del(&ks->readings, node);
		list_del(&rd->of_keyspace);
		rd->keyspace = NULL;
		if (!rd->is_asked)
			free(rd);
	}
	map_fini(&ks->readings);
	closing_add(closing, (uv_handle_t *)&ks->soon);
	closing_add(closing, (uv_handle_t *)&ks->again);
}

static void
free_part(struct hub_part *part)
{
	free(LIST_ENTRY(part, struct keyspace, part));
}

static const struct hub_part_ops part_ops = {.close = close_part, .free = free_part};

/* Is made when it is first needed. NULL: out of memory. */
static struct keyspace *
keyspace_of(struct hub *hub)
{
	struct hub_part *part = hub_find_part(hub, &part_ops);
	struct keyspace *ks;

	if (part != NULL)
		return LIST_ENTRY(part, struct keyspace, part);
	if ((ks = calloc(1, sizeof(*ks))) == NULL)
		return NULL;
	ks->part.ops = &part_ops;
	ks->hub = hub;
	map_init(&ks->readings);
	list_init(&ks->due);
	list_init(&ks->failed);
	uv_timer_init(hub->loop, &ks->soon);
	uv_timer_init(hub->loop, &ks->again);
	hub_add_part(hub, &ks->part);
	return ks;
}

/* The message's channel is the key, its data the operation. */
static void
on_message(struct source *so, struct message *msg, const struct stream_id *id)
{
	struct feed *fd = so->feed;
	struct keyspace *ks;

	(void)id;
	if (!fd->class->settings->keyspace_value)
		tell(fd, msg->channel, msg->channel_len, msg->data, NULL);
	else if (feed_has_use(fd) && (ks = keyspace_of(fd->class->hub)) != NULL)
		wait_for_value(ks, fd, msg);
	else if (feed_has_use(fd))
		lose(fd);
}

const struct source_kind source_keyspace = {.name = "keyspace", .message = on_message};
