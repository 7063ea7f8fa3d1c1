#include "hub/turn.h"

#include "hub/subscriber.h"

enum {
	/*
	 * Many subscribers are written in slices of this length, and the loop runs between two
	 * slices: so a connection or a heartbeat never waits for ten thousand writes. What Redis
	 * sends meanwhile is written with what still waits.
	 */
	SLICE_US = 2000,
	SLICE_CHECK = 16 /* the clock is read once for this many writes */
};

static uint64_t
clock_us(void)
{
	return uv_hrtime() / 1000;
}

void
turn_note_arrival(struct turn *turn)
{
	turn->arrived_us = clock_us();
}

/* Writes each subscriber that has something to send once, until the slice is over. */
static void
write_ready(struct turn *turn)
{
	uint64_t until = 0;
	unsigned n = 0;

	while (!list_is_empty(&turn->ready)) {
		struct subscriber *sub = LIST_ENTRY(turn->ready.next, struct subscriber, node);
		enum send_result result;

		if (n++ % SLICE_CHECK == 0) {
			turn->wrote_us = clock_us();
			if (until == 0)
				until = turn->wrote_us + SLICE_US;
			else if (turn->wrote_us >= until)
				return;
		}
		list_del(&sub->node);
		result = sub->ops->send(sub);
		if (result != SEND_GONE)
			subscriber_flushed(sub, result);
	}
}

static void
on_awake(uv_idle_t *idle)
{
	(void)idle; /* it need do nothing: while it is active, the loop polls without waiting */
}

static void
on_end(uv_prepare_t *prepare)
{
	struct turn *turn = LIST_ENTRY(prepare, struct turn, end);

	turn->arrived_us = 0; /* what is sent from here on belongs to no message */
	write_ready(turn);
	turn->on_end(turn);
	if (list_is_empty(&turn->ready))
		uv_idle_stop(&turn->keep_awake);
	else
		uv_idle_start(&turn->keep_awake, on_awake);
}

void
turn_init(struct turn *turn, uv_loop_t *loop, void (*fn)(struct turn *turn))
{
	list_init(&turn->ready);
	turn->arrived_us = turn->wrote_us = 0;
	turn->on_end = fn;
	uv_prepare_init(loop, &turn->end);
	uv_idle_init(loop, &turn->keep_awake);
	uv_prepare_start(&turn->end, on_end);
}

void
turn_close(struct turn *turn, struct closing *closing)
{
	closing_add(closing, (uv_handle_t *)&turn->end);
	closing_add(closing, (uv_handle_t *)&turn->keep_awake);
}
