#ifndef SLUICE_HUB_FIFO_H
#define SLUICE_HUB_FIFO_H

/*
 * fifo - things that all fall due the same time after they were added. Since the period is the same
 * for all, they fall due in the order of adding, and one timer serves any number of them. A period
 * of 0 means never: the fifo takes nodes and none falls due.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/closing.h"
#include "base/list.h"

struct fifo_node {
	struct list node;
	uint64_t since_ms;
};

struct fifo {
	struct list nodes;
	uint64_t period_ms;
	/* The node is out of the fifo already; it may be added again, or freed. */
	void (*on_due)(struct fifo *fifo, struct fifo_node *node);
	uv_timer_t timer;
};

/* fifo_init - time is the loop's (uv_now). */
void fifo_init(struct fifo *fifo, uv_loop_t *loop, uint64_t period_ms,
	       void (*on_due)(struct fifo *fifo, struct fifo_node *node));

/*
 * fifo_close - stops the timer and begins to close it; on_closed is called as uv_close() does.
 * Nodes stay linked.
 */
void fifo_close(struct fifo *fifo, uv_close_cb on_closed);

/* fifo_close_in - as fifo_close(), with the timer as one of the handles of a closing. */
static inline void
fifo_close_in(struct fifo *fifo, struct closing *closing)
{
	closing_add(closing, (uv_handle_t *)&fifo->timer);
}

void fifo_node_init(struct fifo_node *node);
void
fifo_add(struct fifo *fifo, struct fifo_node *node); /* or move to the end: due a period from now */
void fifo_del(struct fifo_node *node);               /* also if it is in none */

#endif
