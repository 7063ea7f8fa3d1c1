#include "hub/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/queue_private.h"
#include "redis/group.h"

enum { TICK_MIN_MS = 50, TICK_MAX_MS = 1000, NAME_MAX_LEN = SUBJECT_NAME_MAX };

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

void
queue_free_if_done(struct queue *q)
{
	if (q->feed != NULL || q->n_pending > 0 || q->has_timers)
		return;
	free(q->group);
	free(q->key);
	free(q->dead_key);
	free(q);
}

static void
on_tick(uv_timer_t *timer)
{
	queue_expire(timer->data);
	queue_go_on(timer->data);
}

void
queue_grew(struct feed *fd)
{
	queue_of(fd)->has_grown = true;
	queue_go_on_soon(queue_of(fd));
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
static void
on_flushed(struct outlet *o, struct subscriber *sub)
{
	struct queue *q = queue_of(feed_of(o));
	struct share *share = share_of(q, sub);
	struct list *node, *tmp;

	if (share == NULL)
		return;
	if (q->is_auto && sub->own.len == 0) {
		LIST_FOREACH (node, tmp, &share->held)
			queue_finish(q, LIST_ENTRY(node, struct held, node));
	}
	queue_go_on_soon(q);
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

		if (q->is_auto && sub->own.len == 0)
			queue_finish(q, h); /* it was the last that it was sent */
		else
			queue_forget(q, h);
	}
	list_del(&share->of_queue);
	map_del(&q->by_subscriber, &share->by_subscriber);
	free(share);
}

/* The feed */

/* The key of the stream for dead letters, with the prefix. Without the key there is none. */
static int
make_dead_key(struct queue *q, struct feed *fd)
{
	char *name;
	int rc = feed_key_text(fd, "dead_letter", &name);

	if (rc == 0 && name != NULL &&
	    asprintf(&q->dead_key, "%s%s", subjects_prefix(fd->class->hub->subjects), name) < 0) {
		q->dead_key = NULL;
		rc = -ENOMEM;
	}
	free(name);
	return rc;
}

static int
name_parts(struct queue *q, struct feed *fd)
{
	char key[STREAM_KEY_MAX], unique[UNIQUE_LEN];
	int rc;

	replay_print_key(key, fd, 0);
	unique_make(unique);
	snprintf(q->consumer, sizeof(q->consumer), "sluice-%s", unique);
	if ((q->key = strdup(key)) == NULL)
		return -ENOMEM;
	if ((rc = feed_key_text(fd, "group", &q->group)) < 0)
		return rc;
	return q->group != NULL ? make_dead_key(q, fd) : -ENOENT;
}

static int
follow_acks(struct queue *q, struct feed *fd)
{
	char name[NAME_MAX_LEN + sizeof(GROUP_ACKED_SUFFIX)];

	if (q->is_auto)
		return 0;
	snprintf(name, sizeof(name), "%s" GROUP_ACKED_SUFFIX, replay_stream_name(fd, 0));
	return feed_subscribe(fd, SUBJECT_CHANNEL, name);
}

bool
queue_is_auto(const struct own_keys *keys)
{
	const char *ack = own_text(keys, "ack");

	return ack == NULL || strcmp(ack, "client") != 0;
}

/* What the section says holds for as long as the feed lives: a reload makes a new one. */
static void
read_keys(struct queue *q, const struct own_keys *keys)
{
	q->is_auto = queue_is_auto(keys);
	q->claim_after_ms = own_number(keys, "claim_after");
	q->prefetch = (unsigned)own_number(keys, "prefetch");
	q->max_deliveries = (unsigned)own_number(keys, "max_deliveries");
}

int
queue_begin(struct feed *fd)
{
	struct queue *q;
	uint64_t tick;
	int rc;

	if (more_new(fd) < 0 || (q = calloc(1, sizeof(*q))) == NULL)
		return -ENOMEM;
	read_keys(q, &fd->class->settings->own);
	tick = q->claim_after_ms / 4;
	if ((rc = name_parts(q, fd)) < 0 || (rc = follow_acks(q, fd)) < 0) {
		queue_free_if_done(q);
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
	q->has_timers = true;
	tick = tick < TICK_MIN_MS ? TICK_MIN_MS : tick > TICK_MAX_MS ? TICK_MAX_MS : tick;
	uv_timer_start(&q->tick, on_tick, tick, tick);
	fd->more->queue = q;
	fd->out.flushed = on_flushed;
	fd->n_unconfirmed++; /* nobody is let in before the group is there */
	q->is_awaited = true;
	queue_go_on(q);
	return 0;
}

static void
on_timers_closed(struct closing *closing)
{
	struct queue *q = LIST_ENTRY(closing, struct queue, closing);

	q->has_timers = false;
	queue_free_if_done(q);
}

void
queue_end(struct feed *fd)
{
	struct queue *q = queue_of(fd);

	if (q == NULL)
		return;
	queue_acknowledge(q);
	queue_leave(q);
	while (!list_is_empty(&q->done))
		queue_forget(q, LIST_ENTRY(q->done.next, struct held, node));
	map_fini(&q->by_subscriber);
	map_fini(&q->by_id);
	q->feed = NULL;
	fd->more->queue = NULL;
	closing_begin(&q->closing, on_timers_closed);
	closing_add(&q->closing, (uv_handle_t *)&q->tick);
	closing_add(&q->closing, (uv_handle_t *)&q->soon);
}
