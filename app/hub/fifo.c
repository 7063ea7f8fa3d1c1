#include "hub/fifo.h"

static void arm(struct fifo *fifo);

static struct fifo_node *
first_of(struct fifo *fifo)
{
	return LIST_ENTRY(fifo->nodes.next, struct fifo_node, node);
}

static void
on_timer(uv_timer_t *timer)
{
	struct fifo *fifo = LIST_ENTRY(timer, struct fifo, timer);
	uint64_t now = uv_now(timer->loop);

	while (!list_is_empty(&fifo->nodes) && first_of(fifo)->since_ms + fifo->period_ms <= now) {
		struct fifo_node *node = first_of(fifo);

		list_del(&node->node);
		fifo->on_due(fifo, node);
	}
	arm(fifo);
}

/*
 * The timer is armed for the first node. If that node is moved to the end meanwhile, the timer
 * fires too early, finds nothing due, and is armed anew. That is cheaper than to arm it at each
 * move.
 */
static void
arm(struct fifo *fifo)
{
	uint64_t now, due;

	if (list_is_empty(&fifo->nodes) || fifo->period_ms == 0 ||
	    uv_is_closing((uv_handle_t *)&fifo->timer))
		return;
	now = uv_now(fifo->timer.loop);
	due = first_of(fifo)->since_ms + fifo->period_ms;
	uv_timer_start(&fifo->timer, on_timer, due > now ? due - now : 0, 0);
}

void
fifo_init(struct fifo *fifo, uv_loop_t *loop, uint64_t period_ms,
	  void (*on_due)(struct fifo *fifo, struct fifo_node *node))
{
	list_init(&fifo->nodes);
	fifo->period_ms = period_ms;
	fifo->on_due = on_due;
	uv_timer_init(loop, &fifo->timer);
}

void
fifo_close(struct fifo *fifo, uv_close_cb on_closed)
{
	uv_close((uv_handle_t *)&fifo->timer, on_closed);
}

void
fifo_node_init(struct fifo_node *node)
{
	list_init(&node->node);
	node->since_ms = 0;
}

void
fifo_add(struct fifo *fifo, struct fifo_node *node)
{
	node->since_ms = uv_now(fifo->timer.loop);
	list_move_tail(&fifo->nodes, &node->node);
	if (!uv_is_active((uv_handle_t *)&fifo->timer))
		arm(fifo);
}

void
fifo_del(struct fifo_node *node)
{
	list_del(&node->node);
}
