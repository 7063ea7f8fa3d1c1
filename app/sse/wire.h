#ifndef SLUICE_SSE_WIRE_H
#define SLUICE_SSE_WIRE_H

/*
 * wire - how events are written: text/event-stream, or another format. Pure. What writes, finds or
 * fills bytes of a stream asks the wire of its feed, and knows none by name.
 */
#include "base/buf.h"
#include "sse/event.h"

/*
 * A byte of data becomes at most so many: a line end of an event stream "\ndata: ", a control byte
 * of NDJSON "\u0000". The rest of a frame, with the longest names, is within the other.
 */
enum { WIRE_GROWTH_MAX = 7, WIRE_REST_MAX = 4096 };

struct wire {
	const char *name;       /* as "?mode=" says it */
	const char *media_type; /* as Accept says it */
	const char *content_type;

	/* An event as one frame, as event_append(). */
	int (*event)(struct buf *b, const struct event *ev, size_t *n_replaced);

	/* What goes before the first frame where none is announced, as event_append_lines(). */
	int (*lines)(struct buf *b, unsigned retry_ms, const char *id, size_t len);

	/* A frame that says the id alone, as event_append_id(); NULL: there is none such. */
	int (*id)(struct buf *b, const char *id, size_t len);

	/* ev is what the section makes of it; without a type it is to be no event. As event(). */
	int (*heartbeat)(struct buf *b, const struct event *ev);

	/* As event_boundary(). */
	const char *(*boundary)(const char *begin, const char *at, const char *end);

	/* The id of the frame that begins at p, NULL if it has none. A stream's ids are written as
	 * they are. */
	const char *(*find_id)(const char *p, const char *end, size_t *len);

	const char *filler; /* says nothing between two frames, as often as it stands there */
};

extern const struct wire wire_event_stream, wire_ndjson;

/* wire_nth - those that there are, the usual one first; NULL past the last. */
const struct wire *wire_nth(size_t n);

#endif
