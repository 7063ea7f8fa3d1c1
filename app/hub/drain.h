#ifndef SLUICE_HUB_DRAIN_H
#define SLUICE_HUB_DRAIN_H

/*
 * drain - a worker is about to end: since when, for how long, and when the clients that are sent
 * away come back.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct drain {
	uv_loop_t *loop;
	uint64_t began_ms, ms;
	bool is_draining;
	bool is_succeeded; /* another program serves already */
};

static inline void
drain_begin(struct drain *drain, uint64_t ms, bool is_succeeded)
{
	drain->is_draining = true;
	drain->is_succeeded = is_succeeded;
	drain->began_ms = uv_now(drain->loop);
	drain->ms = ms;
}

static inline uint64_t
drain_passed_ms(const struct drain *drain)
{
	return uv_now(drain->loop) - drain->began_ms;
}

/* drain_return_ms - see hub_return_ms(). */
unsigned drain_return_ms(const struct drain *drain, unsigned usual_ms);

#endif
