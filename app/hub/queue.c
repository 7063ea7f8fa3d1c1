#include "hub/queue.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/logger.h"
#include "hub/delivery.h"
#include "hub/private.h"
#include "logic/entry.h"
#include "redis/command.h"
#include "redis/group.h"

enum {
	ASK_MAX = 256,  /* entries that are asked for at once */
	ACK_MAX = 256,  /* and acknowledged */
	CLAIM_MAX = 64, /* and claimed */
	TICK_MIN_MS = 50,
	TICK_MAX_MS = 1000,
	NAME_MAX_LEN = SUBJECT_NAME_MAX,
	LOG_PAUSE_MS = 60000
};

#define CONSUMER_FORGOTTEN_MS "3600000"

/* What one subscriber has of the queue. */
struct share {
	struct list of_queue;
	struct map_node by_subscriber;
	uintptr_t number; /* of sub: the key */
	struct subscriber *sub;
	struct list held;
	unsigned n_held;
	uint64_t n_given;
};

/* An entry that was given to a subscriber and is not acknowledged. */
struct held {
	struct list node; /* share->held, or queue->done */
	struct map_node by_id;
	struct share *share; /* NULL: its subscriber has had it, and Redis is to be told */
	char id[STREAM_ID_TEXT];
};

struct queue {
	struct feed *feed;  /* NULL: it has ended */
	struct list shares; /* who was given one last is last */
	struct map by_subscriber, by_id;
	struct list done; /* to be acknowledged by us */
	bool is_known;    /* the group is there */
	bool is_creating, is_asking, is_claiming, is_acking;
	bool has_grown; /* while we asked */
	uint64_t claim_at_ms;
	bool is_awaited;                       /* by the feed, to be confirmed */
	unsigned n_asked, n_claimed, n_coming; /* entries that will come at most, and their sum */
	unsigned n_acking;                     /* of done, that Redis is being told */
	unsigned n_pending;                    /* commands whose answers will come */
	unsigned n_timers;
	uv_timer_t tick, soon;
	char consumer[UNIQUE_LEN + 8], *key, *dead_key;
	struct buf group;
};

static struct queue *
queue_of(const struct feed *fd)
{
	return fd->more != NULL ? fd->more->queue : NULL;
}

bool
queue_is(const struct feed *fd)
{
	return queue_of(fd) != NULL;
}

bool
queue_is_ready(const struct feed *fd)
{
	return queue_of(fd) == NULL || !queue_of(fd)->is_awaited;
}

static const struct feed_settings *
settings_of(const struct queue *q)
{
	return q->feed->class->settings;
}

static uint64_t
now_ms(const struct queue *q)
{
	return uv_now(q->tick.loop);
}

static void
free_if_done(struct queue *q)
{
	if (q->feed != NULL || q->n_pending > 0 || q->n_timers > 0)
		return;
	buf_fini(&q->group);
	free(q->key);
	free(q->dead_key);
	free(q);
}

/* One answer fewer to wait for. Returns whether anybody still wants it. */
static bool
is_answered(struct queue *q, bool *is_pending)
{
	*is_pending = false;
	q->n_pending--;
	if (q->feed != NULL)
		return true;
	free_if_done(q);
	return false;
}

static bool
send_command(struct queue *q, command_fn fn, int argc, const char *const *argv)
{
	struct command *command = q->feed->class->hub->command;

	if (command == NULL || command_send(command, fn, q, argc, argv, NULL) < 0)
		return false;
	q->n_pending++;
	return true;
}

static void
log_error(const struct queue *q, const redisReply *reply)
{
	static struct logger_pause pause;

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	    logger_may(&pause, now_ms(q), LOG_PAUSE_MS))
		logger_warn("Redis refuses a command for the queue %s of group %s: %s", q->key,
			    q->group.p, reply->str);
}

static bool
begins_with(const redisReply *reply, const char *word)
{
	return reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	       strncmp(reply->str, word, strlen(word)) == 0;
}

static void go_on(struct queue *q);

static void
on_soon(uv_timer_t *timer)
{
	go_on(timer->data);
}

/* Once this turn is over: by then all who can be written were. */
static void
go_on_soon(struct queue *q)
{
	if (!uv_is_active((uv_handle_t *)&q->soon))
		uv_timer_start(&q->soon, on_soon, 0, 0);
}

/* Acknowledging */

static void
forget(struct queue *q, struct held *h)
{
	list_del(&h->node);
	map_del(&q->by_id, &h->by_id);
	if (h->share != NULL)
		h->share->n_held--;
	free(h);
}

static struct held *
find_held(const struct queue *q, const char *id, size_t len)
{
	struct map_node *node = map_find(&q->by_id, id, len);

	return node != NULL ? MAP_ENTRY(node, struct held, by_id) : NULL;
}

static void acknowledge(struct queue *q);

/* Those that were named are the first: later ones stand behind them. */
static void
on_done_acked(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	if (!is_answered(q, &q->is_acking))
		return;
	log_error(q, reply);
	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
		return; /* at the next tick */
	counters_add(COUNTER_ACKED, reply->integer);
	while (q->n_acking > 0 && !list_is_empty(&q->done)) {
		forget(q, LIST_ENTRY(q->done.next, struct held, node));
		q->n_acking--;
	}
	acknowledge(q);
}

static void
acknowledge(struct queue *q)
{
	const char *argv[3 + ACK_MAX] = {"XACK", q->key, q->group.p};
	struct list *node;
	int argc = 3;

	if (q->is_acking)
		return;
	for (node = q->done.next; node != &q->done && argc < 3 + ACK_MAX; node = node->next)
		argv[argc++] = LIST_ENTRY(node, struct held, node)->id;
	q->n_acking = (unsigned)argc - 3;
	if (argc > 3)
		q->is_acking = send_command(q, on_done_acked, argc, argv);
}

/* Nobody is to have it any more. */
static void
finish(struct queue *q, struct held *h)
{
	if (h->share != NULL)
		h->share->n_held--;
	h->share = NULL;
	list_move_tail(&q->done, &h->node);
}

/* "GROUP ID ID…": it may have been another worker's client that told us. */
void
queue_acked(struct feed *fd, const struct message *notice)
{
	struct queue *q = queue_of(fd);
	const char *p = notice->data, *end = p + notice->data_len;
	size_t len = strlen(q->group.p);
	struct held *h;

	if ((size_t)(end - p) <= len || memcmp(p, q->group.p, len) != 0 || p[len] != ' ')
		return;
	for (p += len + 1; p < end; p += len + 1) {
		const char *space = memchr(p, ' ', (size_t)(end - p));

		len = space != NULL ? (size_t)(space - p) : (size_t)(end - p);
		if ((h = find_held(q, p, len)) != NULL && h->share != NULL)
			forget(q, h);
	}
	go_on_soon(q);
}

/* Giving */

static bool
is_free(const struct queue *q, const struct share *share)
{
	const struct subscriber *sub = share->sub;

	return sub->state == SUBSCRIBER_OPEN && !sub->is_blocked && sub->own.len == 0 &&
	       share->n_held < settings_of(q)->prefetch;
}

/* How many could be given an entry beyond those that will come. */
static unsigned
count_free(const struct queue *q)
{
	const struct list *node;
	unsigned n = 0;

	for (node = q->shares.next; node != &q->shares; node = node->next)
		n += is_free(q, LIST_ENTRY(node, struct share, of_queue));
	return n > q->n_coming ? n - q->n_coming : 0;
}

/*
 * Whose turn it is: not the one who has had it and did not acknowledge, if there is another. Who
 * was free when we asked may have left since: then it is anybody's.
 */
static struct share *
choose(const struct queue *q, const struct share *had)
{
	struct list *node;
	struct share *second = NULL, *third = NULL;

	for (node = q->shares.next; node != &q->shares; node = node->next) {
		struct share *share = LIST_ENTRY(node, struct share, of_queue);

		if (is_free(q, share) && share != had)
			return share;
		if (is_free(q, share))
			second = share;
		else if (share->sub->state == SUBSCRIBER_OPEN)
			third = third != NULL ? third : share;
	}
	return second != NULL ? second : third;
}

/* It is this one's from now on. Returns NULL if out of memory. */
static struct held *
hold(struct queue *q, const struct stream_id *id, struct held *h)
{
	if (h == NULL) {
		if ((h = calloc(1, sizeof(*h))) == NULL)
			return NULL;
		list_init(&h->node);
		stream_id_print(h->id, id);
		if (map_add(&q->by_id, &h->by_id, h->id, strlen(h->id)) < 0) {
			free(h);
			return NULL;
		}
	}
	if (h->share != NULL)
		h->share->n_held--;
	h->share = NULL;
	return h;
}

struct giving {
	struct buf *frame;
	unsigned n_events;
	int rc;
};

static void
put_event(struct delivery *dl, const struct event *ev, bool is_last)
{
	struct giving *g = dl->arg;
	size_t n_replaced = 0;

	(void)is_last;
	if (g->rc < 0 || (g->rc = event_append(g->frame, ev, &n_replaced)) < 0)
		return;
	counters_add(COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	counters_add(COUNTER_EVENTS, 1);
	g->n_events++;
}

/* What the route makes of the entry, into the hub's frame. */
static struct giving
render(struct queue *q, const struct stream_id *id, struct message *arrived, bool *ends)
{
	struct feed *fd = q->feed;
	struct giving g = {.frame = &fd->class->hub->frame};
	struct delivery dl = {.feed = fd,
			      .cursor = id,
			      .n_cursor = 1,
			      .callback = fd->more->callback,
			      .send = put_event,
			      .arg = &g};
	struct message msg;

	buf_truncate(g.frame, 0);
	message_share(&msg, arrived);
	*ends = delivery_run(&dl, &msg, false);
	message_fini(&msg);
	if (g.rc < 0)
		feed_count_drop(g.rc);
	return g;
}

static void
give_to(struct queue *q, struct share *share, struct held *h, const struct giving *g, bool ends)
{
	uint64_t max = settings_of(q)->max_events;
	struct subscriber *sub = share->sub;

	list_move_tail(&q->shares, &share->of_queue);
	list_move_tail(&share->held, &h->node);
	h->share = share;
	share->n_held++;
	share->n_given += g->n_events;
	if (subscriber_give(sub, g->frame->p, g->frame->len, g->n_events) < 0)
		subscriber_end(sub, END_SLOW);
	else if (ends)
		subscriber_end(sub, END_UNTIL);
	else if (max > 0 && share->n_given >= max)
		subscriber_end(sub, END_MAX_EVENTS);
}

/* One entry of a reply. Returns false if nobody can take it: claim_after will bring it again. */
static bool
give(struct queue *q, const redisReply *one)
{
	struct stream_id id;
	struct share *share;
	struct giving g;
	struct entry en;
	struct held *h;
	bool ends;

	if (one->type != REDIS_REPLY_ARRAY || one->elements != 2 ||
	    one->element[0]->type != REDIS_REPLY_STRING ||
	    !stream_id_parse(&id, one->element[0]->str, one->element[0]->len))
		return true; /* it was deleted meanwhile */
	h = find_held(q, one->element[0]->str, one->element[0]->len);
	if (h != NULL && h->share == NULL)
		return true; /* it was had, and Redis is being told */
	if ((share = choose(q, h != NULL ? h->share : NULL)) == NULL ||
	    (h = hold(q, &id, h)) == NULL)
		return false;
	if (entry_read(&en, replay_stream_name(q->feed, 0), &id, one->element[1]) < 0) {
		counters_add(COUNTER_DROPPED_INVALID, 1);
		finish(q, h);
		return true;
	}
	g = render(q, &id, &en.msg, &ends);
	entry_fini(&en);
	if (g.n_events == 0 || g.rc < 0)
		finish(q, h); /* the route sends nothing for it */
	else
		give_to(q, share, h, &g, ends);
	return true;
}

static void
give_all(struct queue *q, const redisReply *entries)
{
	size_t i;

	for (i = 0; entries != NULL && i < entries->elements; i++) {
		if (!give(q, entries->element[i]))
			break;
	}
	acknowledge(q);
	if (entries != NULL && entries->elements > 0)
		go_on_soon(q); /* there may be more */
}

/* Asking */

static void
on_entries(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	if (!is_answered(q, &q->is_asking))
		return;
	q->n_coming -= q->n_asked;
	if (begins_with(reply, "NOGROUP"))
		q->is_known = false; /* somebody has deleted it, or the stream */
	else
		log_error(q, reply);
	give_all(q, group_entries(reply));
	if (q->has_grown || !q->is_known)
		go_on_soon(q);
}

static void
ask(struct queue *q)
{
	unsigned n = count_free(q);
	char count[16];
	const char *argv[] = {"XREADGROUP", "GROUP",   q->group.p, q->consumer, "COUNT",
			      count,        "STREAMS", q->key,     ">"};

	if (n == 0)
		return; /* who is free again will ask */
	q->has_grown = false;
	q->n_asked = n < ASK_MAX ? n : ASK_MAX;
	snprintf(count, sizeof(count), "%u", q->n_asked);
	if ((q->is_asking = send_command(q, on_entries, 9, argv)))
		q->n_coming += q->n_asked;
}

static void
on_claimed(void *arg, const redisReply *reply)
{
	struct queue *q = arg;
	const redisReply *entries;
	size_t n_dead = 0;

	if (!is_answered(q, &q->is_claiming))
		return;
	q->n_coming -= q->n_claimed;
	log_error(q, reply);
	go_on_soon(q); /* what was kept free for these may be asked for */
	if ((entries = group_claimed(reply, &n_dead)) == NULL)
		return;
	counters_add(COUNTER_DEAD_LETTERED, (int64_t)n_dead);
	counters_add(COUNTER_CLAIMED, (int64_t)entries->elements);
	if (n_dead > 0)
		logger_warn("queue %s, group %s: %zu entries were delivered too often, and stand "
			    "in %s now",
			    q->key, q->group.p, n_dead, q->dead_key);
	if (n_dead + entries->elements > 0)
		q->claim_at_ms = 0; /* there may be more */
	give_all(q, entries);
}

static void
claim(struct queue *q)
{
	const struct feed_settings *fs = settings_of(q);
	bool has_dead = q->dead_key != NULL;
	char idle[24], count[16], max[16];
	const char *argv[] = {
	    "EVAL",     GROUP_CLAIM_SCRIPT, "2",  q->key, has_dead ? q->dead_key : q->key,
	    q->group.p, q->consumer,        idle, count,  max};
	unsigned n = count_free(q);

	if (q->is_claiming || n == 0 || now_ms(q) < q->claim_at_ms)
		return;
	q->claim_at_ms = now_ms(q) + fs->claim_after_ms / 4;
	snprintf(idle, sizeof(idle), "%llu", (unsigned long long)fs->claim_after_ms);
	q->n_claimed = n < CLAIM_MAX ? n : CLAIM_MAX;
	snprintf(count, sizeof(count), "%u", q->n_claimed);
	snprintf(max, sizeof(max), "%u", has_dead ? fs->max_deliveries : 0);
	if ((q->is_claiming = send_command(q, on_claimed, 10, argv)))
		q->n_coming += q->n_claimed;
}

static void
on_created(void *arg, const redisReply *reply)
{
	struct queue *q = arg;
	bool was_awaited;

	if (!is_answered(q, &q->is_creating))
		return;
	if (reply == NULL ||
	    (reply->type == REDIS_REPLY_ERROR && !begins_with(reply, "BUSYGROUP"))) {
		log_error(q, reply);
		return; /* at the next tick */
	}
	was_awaited = q->is_awaited;
	q->is_known = true;
	q->is_awaited = false;
	if (was_awaited)
		feed_confirmed(q->feed);
	go_on_soon(q);
}

static void
create(struct queue *q)
{
	const struct feed_settings *fs = settings_of(q);
	char start[24] = "$";
	const char *argv[] = {"EVAL", GROUP_CREATE_SCRIPT, "1", q->key, q->group.p, start};

	if (q->is_creating)
		return;
	if (fs->start.is_beginning)
		strcpy(start, "0");
	else if (fs->start.last > 0)
		snprintf(start, sizeof(start), "last:%u", fs->start.last);
	q->is_creating = send_command(q, on_created, 6, argv);
}

static void
go_on(struct queue *q)
{
	if (!q->is_known) {
		create(q);
		return;
	}
	acknowledge(q);
	claim(q);
	if (!q->is_asking)
		ask(q);
}

static void
on_tick(uv_timer_t *timer)
{
	go_on(timer->data);
}

void
queue_grew(struct feed *fd)
{
	queue_of(fd)->has_grown = true;
	go_on_soon(queue_of(fd));
}

/* Subscribers */

static struct share *
share_of(const struct queue *q, const struct subscriber *sub)
{
	uintptr_t number = (uintptr_t)sub;
	struct map_node *node = map_find(&q->by_subscriber, (const char *)&number, sizeof(number));

	return node != NULL ? MAP_ENTRY(node, struct share, by_subscriber) : NULL;
}

void
queue_joined(struct feed *fd, struct subscriber *sub)
{
	struct queue *q = queue_of(fd);
	struct share *share = calloc(1, sizeof(*share));

	if (share == NULL) {
		subscriber_end(sub, END_SLOW);
		return;
	}
	share->sub = sub;
	share->number = (uintptr_t)sub;
	list_init(&share->held);
	if (map_add(&q->by_subscriber, &share->by_subscriber, (const char *)&share->number,
		    sizeof(share->number)) < 0) {
		free(share);
		subscriber_end(sub, END_SLOW);
		return;
	}
	list_init(&share->of_queue);
	list_add_tail(&q->shares, &share->of_queue);
}

/* What was written is, with ack = auto, what was had. */
void
queue_flushed(struct feed *fd, struct subscriber *sub)
{
	struct queue *q = queue_of(fd);
	struct share *share = share_of(q, sub);
	struct list *node, *tmp;

	if (share == NULL)
		return;
	if (settings_of(q)->ack == QUEUE_ACK_AUTO && sub->own.len == 0) {
		LIST_FOREACH (node, tmp, &share->held)
			finish(q, LIST_ENTRY(node, struct held, node));
	}
	go_on_soon(q);
}

/* What it holds is still the group's, until claim_after has passed. */
void
queue_left(struct feed *fd, struct subscriber *sub)
{
	struct queue *q = queue_of(fd);
	struct share *share = share_of(q, sub);

	if (share == NULL)
		return;
	while (!list_is_empty(&share->held)) {
		struct held *h = LIST_ENTRY(share->held.next, struct held, node);

		if (fd->class->settings->ack == QUEUE_ACK_AUTO && sub->own.len == 0)
			finish(q, h); /* it was the last that it was sent */
		else
			forget(q, h);
	}
	list_del(&share->of_queue);
	map_del(&q->by_subscriber, &share->by_subscriber);
	free(share);
}

/* The feed */

/* The key of a stream: the template's text behind the prefix. Without a template there is none. */
static int
expand_key(struct feed *fd, const struct template *t, char **key)
{
	const struct template_scope scope = {.params = fd->params, .channel = ""};
	struct buf text;
	int rc;

	if (t == NULL)
		return 0;
	buf_init(&text, STREAM_KEY_MAX);
	if ((rc = buf_puts(&text, fd->class->hub->redis->prefix)) == 0 &&
	    (rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0)
		*key = text.p;
	else
		buf_fini(&text);
	return rc;
}

static int
name_parts(struct queue *q, struct feed *fd)
{
	const struct template_scope scope = {.params = fd->params, .channel = ""};
	char key[STREAM_KEY_MAX], unique[UNIQUE_LEN];
	int rc;

	replay_print_key(key, fd, 0);
	unique_make(unique);
	snprintf(q->consumer, sizeof(q->consumer), "sluice-%s", unique);
	if ((q->key = strdup(key)) == NULL)
		return -ENOMEM;
	if ((rc = template_expand(fd->class->settings->group, &scope, &q->group)) < 0 ||
	    (rc = buf_putc(&q->group, '\0')) < 0)
		return rc;
	return expand_key(fd, fd->class->settings->dead_letter, &q->dead_key);
}

static int
follow_acks(struct feed *fd)
{
	char name[NAME_MAX_LEN + sizeof(GROUP_ACKED_SUFFIX)];

	if (fd->class->settings->ack == QUEUE_ACK_AUTO)
		return 0;
	snprintf(name, sizeof(name), "%s" GROUP_ACKED_SUFFIX, replay_stream_name(fd, 0));
	return hub_subscribe(fd->class->hub, fd, SUBJECT_CHANNEL, name);
}

int
queue_begin(struct feed *fd)
{
	struct queue *q;
	uint64_t tick = fd->class->settings->claim_after_ms / 4;
	int rc;

	if (more_new(fd) < 0 || (q = calloc(1, sizeof(*q))) == NULL)
		return -ENOMEM;
	buf_init(&q->group, NAME_MAX_LEN);
	if ((rc = name_parts(q, fd)) < 0 || (rc = follow_acks(fd)) < 0) {
		free_if_done(q);
		return rc;
	}
	q->feed = fd;
	list_init(&q->shares);
	list_init(&q->done);
	map_init(&q->by_subscriber);
	map_init(&q->by_id);
	uv_timer_init(fd->class->hub->loop, &q->tick);
	uv_timer_init(fd->class->hub->loop, &q->soon);
	q->tick.data = q->soon.data = q;
	q->n_timers = 2;
	tick = tick < TICK_MIN_MS ? TICK_MIN_MS : tick > TICK_MAX_MS ? TICK_MAX_MS : tick;
	uv_timer_start(&q->tick, on_tick, tick, tick);
	fd->more->queue = q;
	fd->n_unconfirmed++; /* nobody is let in before the group is there */
	q->is_awaited = true;
	create(q);
	return 0;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	struct queue *q = timer->data;

	q->n_timers--;
	free_if_done(q);
}

static void
on_left(void *arg, const redisReply *reply)
{
	struct queue *q = arg;

	(void)reply;
	q->n_pending--;
	free_if_done(q);
}

void
queue_end(struct feed *fd)
{
	struct queue *q = queue_of(fd);
	const char *argv[] = {"EVAL", GROUP_LEAVE_SCRIPT,   "1", NULL, NULL,
			      NULL,   CONSUMER_FORGOTTEN_MS};

	if (q == NULL)
		return;
	argv[3] = q->key;
	argv[4] = q->group.p;
	argv[5] = q->consumer;
	acknowledge(q);
	send_command(q, on_left, 7, argv);
	while (!list_is_empty(&q->done))
		forget(q, LIST_ENTRY(q->done.next, struct held, node));
	map_fini(&q->by_subscriber);
	map_fini(&q->by_id);
	q->feed = NULL;
	fd->more->queue = NULL;
	uv_close((uv_handle_t *)&q->tick, on_timer_closed);
	uv_close((uv_handle_t *)&q->soon, on_timer_closed);
}
