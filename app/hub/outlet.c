#include "hub/outlet.h"

#include <assert.h>

#include "hub/settings.h"
#include "hub/subscriber.h"

const char *const overflow_names[] = {
    [OVERFLOW_DISCONNECT] = "disconnect",
    [OVERFLOW_DROP_OLDEST] = "drop_oldest",
    [OVERFLOW_LATEST] = "latest",
    NULL,
};

void
outlet_init(struct outlet *o, struct outlet_class *class, const struct wire *wire)
{
	*o = (struct outlet){.class = class};
	log_init(&o->log, wire);
	list_init(&o->joined);
	list_init(&o->caught_up);
	heap_init(&o->blocked);
}

void
outlet_fini(struct outlet *o)
{
	assert(o->n_subs == 0 && list_is_empty(&o->joined) && heap_first(&o->blocked) == NULL &&
	       o->n_lapsed == 0);
	log_fini(&o->log);
}

/*
 * Appends the frame to the log. All who had read the whole log must be written now: their list
 * joins the turn's list as a whole, without a step for each of them.
 */
int
outlet_put(struct outlet *o, const struct buf *frame, bool is_event)
{
	struct turn *turn = &o->class->all->turn;
	uint64_t at = o->log.end;
	int rc;

	if ((rc = log_append(&o->log, frame->p, frame->len)) < 0)
		return rc;
	list_splice_tail(&turn->ready, &o->caught_up);
	if (!is_event)
		return 0;
	o->arrived_us = turn->arrived_us;
	o->newest = at;
	o->n_events++;
	return 0;
}

/*
 * Moves the place at which subscribers go on that were too slow, once their clients read again.
 * With "latest" it is the newest event. With "drop_oldest" as much waits as the queue holds, and at
 * least the newest event, however long it is.
 */
static void
move_lapsed(struct outlet *o)
{
	const struct feed_settings *fs = o->class->settings;
	uint64_t to = o->newest;

	if (fs->overflow == OVERFLOW_DROP_OLDEST) {
		if (o->log.end - o->lapsed_at <= fs->queue)
			return;
		to = log_boundary(&o->log, o->log.end - fs->queue);
		if (o->newest < to)
			to = o->newest;
	}
	if (to <= o->lapsed_at)
		return;
	log_move(&o->log, o->lapsed_at, to);
	o->lapsed_at = to;
}

void
outlet_lapsed_joined(struct outlet *o, uint64_t at)
{
	if (o->n_lapsed++ > 0)
		return;
	o->lapsed_at = log_enter_at(&o->log, at);
	move_lapsed(o);
}

void
outlet_lapsed_left(struct outlet *o)
{
	assert(o->n_lapsed > 0);
	if (--o->n_lapsed == 0)
		log_leave(&o->log, o->lapsed_at);
}

/*
 * Only blocked subscribers can be too slow, and they are kept in order, so it is enough to look at
 * the first: a message costs the same however many are slow. One frame may always be on its way,
 * however long it is; its end is searched only when it is needed.
 */
void
outlet_check_slow(struct outlet *o)
{
	size_t queue = o->class->settings->queue;
	struct heap_node *node;
	uint64_t next;

	if (o->n_lapsed > 0)
		move_lapsed(o);
	while ((node = heap_first(&o->blocked)) != NULL && o->log.end - node->key > queue) {
		struct subscriber *sub = HEAP_ENTRY(node, struct subscriber, blocked);

		if (node->key == sub->cursor) {
			next = log_boundary(&o->log, sub->cursor + 1);
			heap_del(&o->blocked, node);
			heap_add(&o->blocked, node, next);
		} else {
			subscriber_overflow(sub);
		}
	}
}
