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

	/*
	 * Append ev to b as one frame. Its data may hold any bytes, and each CR, LF or CRLF is a
	 * line's end. A type "message" is what a client takes an event without a type for. Bytes
	 * that are not UTF-8 become U+FFFD, one for each maximal subpart (Unicode 3.9, as the
	 * WHATWG Encoding standard decodes), and are added to *n_replaced if it is not NULL.
	 * Borrows ev. On failure b is as it was. Returns 0, -EINVAL for names that
	 * event_names_are_ok() refuses, -EMSGSIZE past b's cap, -ENOMEM.
	 */
	int (*event)(struct buf *b, const struct event *ev, size_t *n_replaced);

	/*
	 * Where nothing announces a stream: what the first frame that comes is to say of retry and
	 * id, written before it. retry_ms 0, id NULL: not that one. As event().
	 */
	int (*lines)(struct buf *b, unsigned retry_ms, const char *id, size_t len);

	/* A frame that says an id and is no event; NULL: there is none such. As event(). */
	int (*id)(struct buf *b, const char *id, size_t len);

	/* ev is what the section makes of it; without a type it is to be no event. As event(). */
	int (*heartbeat)(struct buf *b, const struct event *ev);

	/*
	 * The first place at or behind at where a frame begins, in bytes from begin to end that
	 * hold whole frames, and what says nothing between them; end if there is none.
	 */
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
