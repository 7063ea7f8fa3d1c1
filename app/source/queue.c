#include "source/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/group.h"
#include "source/kinds.h"
#include "source/queue_private.h"

enum { TICK_MIN_MS = 50, TICK_MAX_MS = 1000, NAME_MAX_LEN = SUBJECT_NAME_MAX };

static void
grew(struct feed *fd)
{
	struct queue *q = queue_of(fd);

	if (q == NULL)
		return; /* it begins, and will ask for everything that there is */
	q->has_grown = true;
	queue_go_on_soon(q);
}

/* The stream has grown. Its entries are not used here, because the group gives them out. */

static void
on_growth(struct source *so, struct message *msg, const struct stream_id *id)
{
	(void)msg;
	(void)id;
	grew(so->feed);
}

/*
 * It makes no difference how it changed, not even if it began anew: the group knows what it has
 * given out.
 */
static void
on_changed(struct source *so, enum stream_change change)
{
	(void)change;
	grew(so->feed);
}

const struct source_kind source_queue = {
    .name = "queue", .message = on_growth, .changed = on_changed};

/* A message of the channel that tells what was acknowledged. */

static void
on_acked(struct source *so, struct message *msg, const struct stream_id *id)
{
	(void)id;
	if (so->feed->kept != NULL && queue_acked(so->feed->kept, msg))
		queue_go_on_soon(so->feed->kept);
}

const struct source_kind source_acked = {.name = "acked", .message = on_acked};

/* NULL: it follows none. */
static const struct source *
stream_of(const struct feed *fd)
{
	const struct source *so = fd->sources;

	while (so != NULL && source_kind(so) != &source_queue)
		so = so->next;
	return so;
}

static void
on_tick(uv_timer_t *timer)
{
	queue_expire(timer->data);
	queue_go_on(timer->data);
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

/* With ack = auto an entry is done when it has been written. */
void
queue_flushed(struct feed *fd, struct subscriber *sub)
{
	struct queue *q = queue_of(fd);
	struct share *share = share_of(q, sub);
	struct list *node, *tmp;

	if (share == NULL)
		return;
	if (q->is_auto && sub->own.len == 0) {
		LIST_FOREACH (node, tmp, &share->held)
			queue_finish(q, LIST_ENTRY(node, struct pending_entry, node));
	}
	queue_go_on_soon(q);
}

/* What the subscriber holds stays pending in the group, until claim_after has passed. */
void
queue_left(struct feed *fd, struct subscriber *sub)
{
	struct queue *q = queue_of(fd);
	struct share *share = share_of(q, sub);

	if (share == NULL)
		return;
	while (!list_is_empty(&share->held)) {
		struct pending_entry *h = LIST_ENTRY(share->held.next, struct pending_entry, node);

		if (q->is_auto && sub->own.len == 0)
			queue_finish(q, h); /* it was the last entry that the subscriber was sent */
		else
			queue_forget(q, h);
	}
	list_del(&share->of_queue);
	map_del(&q->by_subscriber, &share->by_subscriber);
	free(share);
}

/* The feed */

/*
 * Makes the key of the stream for dead letters, with the prefix; none if the section has no
 * dead_letter.
 */
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

	source_print_key(key, q->stream);
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
	snprintf(name, sizeof(name), "%s" GROUP_ACKED_SUFFIX, source_name(q->stream));
	return feed_follow(fd, SUBJECT_CHANNEL, name);
}

bool
queue_is_auto(const struct handler_settings *keys)
{
	const char *ack = handler_setting_text(keys, "ack");

	return ack == NULL || strcmp(ack, "client") != 0;
}

/* The section's values hold for the feed's life, because a reload makes a new feed. */
static void
read_keys(struct queue *q, const struct handler_settings *keys)
{
	q->is_auto = queue_is_auto(keys);
	q->claim_after_ms = handler_setting_number(keys, "claim_after");
	q->prefetch = (unsigned)handler_setting_number(keys, "prefetch");
	q->max_deliveries = (unsigned)handler_setting_number(keys, "max_deliveries");
}

int
queue_begin(struct feed *fd)
{
	struct queue *q;
	uint64_t tick;
	int rc;

	if (stream_of(fd) == NULL)
		return HTTP_INTERNAL_ERROR;
	if ((q = calloc(1, sizeof(*q))) == NULL)
		return -ENOMEM;
	q->stream = stream_of(fd);
	read_keys(q, &fd->class->settings->handler_settings);
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
	fd->kept = q;
	feed_await(fd); /* nobody is let in before the group exists */
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
		queue_forget(q, LIST_ENTRY(q->done.next, struct pending_entry, node));
	map_fini(&q->by_subscriber);
	map_fini(&q->by_id);
	q->feed = NULL;
	fd->kept = NULL;
	closing_begin(&q->closing, on_timers_closed);
	closing_add(&q->closing, (uv_handle_t *)&q->tick);
	closing_add(&q->closing, (uv_handle_t *)&q->soon);
}
