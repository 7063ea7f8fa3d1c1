#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "source/queue_private.h"
#include "logic/entry.h"

/* What is held */

void
queue_forget(struct queue *q, struct pending_entry *h)
{
	list_del(&h->node);
	map_del(&q->by_id, &h->by_id);
	if (h->share != NULL)
		h->share->n_held--;
	free(h);
}

static struct pending_entry *
find_held(const struct queue *q, const char *id, size_t len)
{
	struct map_node *node = map_find(&q->by_id, id, len);

	return node != NULL ? MAP_ENTRY(node, struct pending_entry, by_id) : NULL;
}

/* The entry is done: it is not given to anybody any more. */
void
queue_finish(struct queue *q, struct pending_entry *h)
{
	if (h->share != NULL)
		h->share->n_held--;
	h->share = NULL;
	list_move_tail(&q->done, &h->node);
}

/* Reads "GROUP ID ID…". It may come from the client of another worker. */
bool
queue_acked(struct queue *q, const struct message *notice)
{
	const char *p = notice->data, *end = p + notice->data_len;
	size_t len = strlen(q->group);
	struct pending_entry *h;

	if ((size_t)(end - p) <= len || memcmp(p, q->group, len) != 0 || p[len] != ' ')
		return false;
	for (p += len + 1; p < end; p += len + 1) {
		const char *space = memchr(p, ' ', (size_t)(end - p));

		len = space != NULL ? (size_t)(space - p) : (size_t)(end - p);
		if ((h = find_held(q, p, len)) != NULL && h->share != NULL)
			queue_forget(q, h);
	}
	return true;
}

/*
 * An entry that has been unacknowledged for twice claim_after was claimed by another subscriber or
 * is a dead letter; or we did not hear of its acknowledgement. It no longer counts for prefetch.
 */
void
queue_expire(struct queue *q)
{
	uint64_t now = uv_now(q->tick.loop), after = q->claim_after_ms;
	struct list *node, *first;

	if (after == 0)
		return;
	for (node = q->shares.next; node != &q->shares; node = node->next) {
		struct share *share = LIST_ENTRY(node, struct share, of_queue);

		while ((first = share->held.next) != &share->held &&
		       now - LIST_ENTRY(first, struct pending_entry, node)->since_ms > 2 * after)
			queue_forget(q, LIST_ENTRY(first, struct pending_entry, node));
	}
}

/* Giving */

static bool
is_free(const struct queue *q, const struct share *share)
{
	const struct subscriber *sub = share->sub;

	return sub->state == SUBSCRIBER_OPEN && !sub->is_blocked && sub->own.len == 0 &&
	       share->n_held < q->prefetch;
}

/* How many entries could be given out, beyond those that are expected. */
unsigned
queue_count_free(const struct queue *q)
{
	const struct list *node;
	unsigned n = 0;

	for (node = q->shares.next; node != &q->shares; node = node->next)
		n += is_free(q, LIST_ENTRY(node, struct share, of_queue));
	return n > q->n_coming ? n - q->n_coming : 0;
}

/*
 * Chooses who gets the entry: another one than the subscriber that has had it and did not
 * acknowledge it, if there is another. If those that were free when we asked have left, it may be
 * anybody.
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

/* The subscriber holds the entry from now on. Returns NULL if memory is short. */
static struct pending_entry *
hold(struct queue *q, const struct stream_id *id, struct pending_entry *h)
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

/* The sink for what the route makes of one entry; it goes into the hub's frame. */
struct giving {
	struct sink sink;
	const struct feed *feed;
	struct buf *frame;
	unsigned n_events;
	int rc;
};

static void
put_event(struct sink *to, const struct event *ev, const struct template_scope *of, bool is_last)
{
	struct giving *g = LIST_ENTRY(to, struct giving, sink);
	size_t n_replaced = 0;

	(void)of;
	(void)is_last;
	if (g->rc < 0)
		return;
	if ((g->rc = g->feed->out.log.wire->event(g->frame, ev, &n_replaced)) < 0) {
		feed_count_drop(g->feed, g->rc);
		return;
	}
	feed_count(g->feed, COUNTER_UTF8_REPLACED, (int64_t)n_replaced);
	feed_count(g->feed, COUNTER_EVENTS, 1);
	g->n_events++;
}

static void
give_to(struct queue *q, struct share *share, struct pending_entry *h, const struct giving *g,
	bool ends)
{
	uint64_t max = queue_settings(q)->max_events;
	struct subscriber *sub = share->sub;

	list_move_tail(&q->shares, &share->of_queue);
	list_move_tail(&share->held, &h->node);
	h->share = share;
	h->since_ms = uv_now(q->tick.loop);
	share->n_held++;
	share->n_given += g->n_events;
	if (subscriber_give(sub, g->frame->p, g->frame->len, g->n_events) < 0)
		subscriber_end(sub, END_SLOW);
	else if (ends)
		subscriber_end(sub, END_UNTIL);
	else if (max > 0 && share->n_given >= max)
		subscriber_end(sub, END_MAX_EVENTS);
}

/* The entry stands in the quarantine, and is given to nobody. */
static void
tell_poison(struct share *share)
{
	static const struct event ev = {.type = "stream-reset",
					.type_len = sizeof("stream-reset") - 1,
					.data = RENDER_POISON,
					.data_len = sizeof(RENDER_POISON) - 1};
	const struct feed *fd = feed_of_stream(share->sub);
	struct buf *frame = &fd->class->hub->frame;

	feed_count(fd, COUNTER_RESETS, 1);
	buf_truncate(frame, 0);
	if (fd->class->settings->announce &&
	    (fd->out.log.wire->event(frame, &ev, NULL) < 0 ||
	     subscriber_give(share->sub, frame->p, frame->len, 0) < 0))
		subscriber_end(share->sub, END_SLOW);
}

/*
 * The subscriber holds the entry, if the route makes an event of it. If the route fails on it, even
 * in part, it stays pending: claim_after brings it again, or makes it a dead letter. If the route
 * drops it, it is acknowledged.
 */
static void
give_entry(struct queue *q, struct share *share, struct pending_entry *h,
	   const struct stream_id *id, struct message *arrived)
{
	struct feed *fd = q->feed;
	struct giving g = {.sink = {put_event}, .feed = fd, .frame = &fd->class->hub->frame};
	const struct place at = {
	    .cursor = id, .n_cursor = 1, .whose = "", .callback = feed_callback(fd)};
	struct outcome out;

	buf_truncate(g.frame, 0);
	out = render(fd, &at, arrived, &g.sink);
	feed_check_script(fd, &out);
	if (out.is_poison && !out.has_failed)
		tell_poison(share);
	if (g.rc < 0 || (g.n_events == 0 && out.has_failed))
		queue_forget(q, h);
	else if (g.n_events > 0)
		give_to(q, share, h, &g, out.ends);
	else
		queue_finish(q, h);
	if (g.n_events == 0 && out.ends && !out.has_failed)
		subscriber_end(share->sub, END_UNTIL); /* only a script can say so */
}

/*
 * Gives out one entry of a reply. Returns false if nobody can take it: then claim_after will bring
 * it again.
 */
static bool
give(struct queue *q, const redisReply *one)
{
	struct stream_entry entry;
	struct share *share;
	struct entry en;
	struct pending_entry *h;
	int rc;

	if (!stream_entry_parse(&entry, one))
		return true; /* the entry was deleted meanwhile */
	h = find_held(q, one->element[0]->str, one->element[0]->len);
	if (h != NULL && h->share == NULL)
		return true; /* it is done, and Redis is being told */
	if ((share = choose(q, h != NULL ? h->share : NULL)) == NULL ||
	    (h = hold(q, &entry.id, h)) == NULL)
		return false;
	if ((rc = entry_read(&en, source_name(q->stream), &entry.id, entry.fields)) < 0) {
		feed_count_drop(q->feed, rc);
		if (rc == -EINVAL)
			queue_finish(q, h);
		else
			queue_forget(q, h);
		return true;
	}
	give_entry(q, share, h, &entry.id, &en.msg);
	entry_fini(&en);
	return true;
}

void
queue_give_all(struct queue *q, const redisReply *entries)
{
	size_t i;

	for (i = 0; entries != NULL && i < entries->elements; i++) {
		if (!give(q, entries->element[i]))
			break;
	}
}
