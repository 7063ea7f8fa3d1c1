#ifndef SLUICE_SSE_FRAME_H
#define SLUICE_SSE_FRAME_H

/*
 * frame - reads a frame of an event stream again that sse/event_stream has written. What carries
 * streams within another stream uses it, and the subcommands that follow one. Pure; the texts stay
 * part of the frame.
 */
#include <stddef.h>

#include "base/buf.h"

/* What one frame says. type: "message" if it says none; id: NULL if it says none. */
struct frame {
	const char *type, *id, *data; /* data: its first line, and what follows; NULL: none */
	size_t type_len, id_len;
};

/* frame_read - from p to end: whole lines, without the blank one. It cannot fail. */
void frame_read(struct frame *out, const char *p, const char *end);

/* frame_put_data - append the lines of its data, which begin at p, as one text. As buf_put().
 */
int frame_put_data(struct buf *b, const char *p, const char *end);

#endif
