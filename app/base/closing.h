#ifndef SLUICE_BASE_CLOSING_H
#define SLUICE_BASE_CLOSING_H

/*
 * closing - an object that embeds handles of libuv may be freed only when all of them are closed.
 * This counts them.
 */
#include <uv.h>

struct closing {
	void (*done)(struct closing *c);
	unsigned n;
};

/* closing_begin - done() is called once all that are added are closed; never within this file. */
static inline void
closing_begin(struct closing *c, void (*done)(struct closing *c))
{
	c->done = done;
	c->n = 0;
}

static inline void
closing_on_closed(uv_handle_t *handle)
{
	struct closing *c = handle->data;

	if (--c->n == 0)
		c->done(c);
}

/*
 * closing_add - close the handle; its data field belongs to the closing from now on. At least one
 * handle must be added.
 */
static inline void
closing_add(struct closing *c, uv_handle_t *handle)
{
	handle->data = c;
	c->n++;
	uv_close(handle, closing_on_closed);
}

#endif
