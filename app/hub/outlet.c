#include "hub/outlet.h"

#include <assert.h>

#include "hub/subscriber.h"
#include "hub/turn.h"

void
outlet_init(struct outlet *o, const struct wire *wire, struct turn *turn, size_t queue,
	    enum overflow overflow)
{
	*o = (struct outlet){.turn = turn, .queue = queue, .overflow = overflow};
	log_init(&o->log, wire);
	list_init(&o->joined);
	list_init(&o->caught_up);
	heap_init(&o->blocked);
}

void
outlet_fini(struct outlet *o)
{
	assert(list_is_empty(&o->joined) && heap_first(&o->blocked) == NULL && o->n_lapsed == 0);
	log_fini(&o->log);
}

/*
 * What is encoded goes to the end of the log, and all who had read it are to be
 * written: their whole list joins the turn's, without touching one of them.
 */
int
outlet_put(struct outlet *o, const struct buf *frame, bool is_event)
{
	uint64_t at = o->log.end;
	int rc;

	if ((rc = log_append(&o->log, frame->p, frame->len)) < 0)
		return rc;
	list_splice_tail(&o->turn->ready, &o->caught_up);
	if (!is_event)
		return 0;
	o->arrived_us = o->turn->arrived_us;
	o->newest = at;
	o->n_events++;
	return 0;
}

/*
 * Where those who were too slow go on once their clients read again: "latest" at the newest event,
 * "drop_oldest" so that no more waits than the queue holds; the newest event, however long it is,
 * in any case.
 */
static void
move_lapsed(struct outlet *o)
{
	uint64_t to = o->newest;

	if (o->overflow == OVERFLOW_DROP_OLDEST) {
		if (o->log.end - o->lapsed_at <= o->queue)
			return;
		to = log_boundary(&o->log, o->log.end - o->queue);
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
 * Only who is blocked can be too slow, and who stands first among them is first; so a message costs
 * the same however many are slow. One frame may always be on its way, however long it is: its end
 * is looked for when it is first asked for.
 */
void
outlet_check_slow(struct outlet *o)
{
	struct heap_node *node;
	uint64_t next;

	if (o->n_lapsed > 0)
		move_lapsed(o);
	while ((node = heap_first(&o->blocked)) != NULL && o->log.end - node->key > o->queue) {
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
