#ifndef SLUICE_ROUTE_MUX_FRAME_H
#define SLUICE_ROUTE_MUX_FRAME_H

/*
 * mux_frame - one frame of a subscription's event stream, as sse/event_stream writes them, read
 * again: what a mux connection carries is made of it. Pure.
 */
#include <stddef.h>

#include "base/buf.h"

/* What one frame says; the texts are of the frame. */
struct mux_frame {
	const char *type, *id, *data; /* data: its first line, and what follows; NULL: none */
	size_t type_len, id_len;
};

/* mux_frame_read - of a frame without its blank line. */
void mux_frame_read(struct mux_frame *out, const char *p, const char *end);

/* mux_frame_put_data - append the lines of its data, which begin at p, as one text. As buf_put().
 */
int mux_frame_put_data(struct buf *b, const char *p, const char *end);

#endif
