#ifndef SLUICE_HUB_TURN_H
#define SLUICE_HUB_TURN_H

/*
 * turn - the end of a turn of the loop, at which each subscriber with something to send is written
 * once. So all that came for it meanwhile leaves together.
 */
#include <stdint.h>
#include <uv.h>

#include "base/closing.h"
#include "base/list.h"

struct turn {
	struct list ready;   /* subscribers to write, by their node */
	uint64_t arrived_us; /* when the message came that is being delivered; 0: there is none */
	uint64_t wrote_us;   /* when subscribers were written last, roughly */
	void (*on_end)(struct turn *turn); /* all are written for this time */
	uv_prepare_t end;
	uv_idle_t keep_awake; /* keeps the loop from sleeping while subscribers are ready */
};

void turn_init(struct turn *turn, uv_loop_t *loop, void (*on_end)(struct turn *turn));
void turn_close(struct turn *turn, struct closing *closing);

/* turn_note_arrival - a message has come: the time to its delivery is measured from here. */
void turn_note_arrival(struct turn *turn);

#endif
