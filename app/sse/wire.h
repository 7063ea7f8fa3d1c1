#ifndef SLUICE_SSE_WIRE_H
#define SLUICE_SSE_WIRE_H

/*
 * wire - how events are written: text/event-stream, or another format. Pure. Code that writes,
 * finds or fills bytes of a stream asks the wire of its feed, and knows no format by name.
 */
#include "base/buf.h"
#include "sse/event.h"

/*
 * A byte of data becomes at most this many: a line end becomes "\ndata: " in an event stream, a
 * control byte becomes "\u0000" in NDJSON. The rest of a frame fits into WIRE_REST_MAX, even with
 * the longest names.
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
	 * Where a route announces nothing: retry and id, which are written before the first frame
	 * that comes. retry_ms 0, id NULL: without that one. Returns as event().
	 */
	int (*lines)(struct buf *b, unsigned retry_ms, const char *id, size_t len);

	/*
	 * A frame that has an id and is no event; NULL: the format has no such thing. Returns as
	 * event().
	 */
	int (*id)(struct buf *b, const char *id, size_t len);

	/*
	 * A heartbeat, as the section has it; an ev without a type must not become an event.
	 * Returns as event().
	 */
	int (*heartbeat)(struct buf *b, const struct event *ev);

	/*
	 * Returns the first place at or behind at where a frame begins; end if there is none. The
	 * bytes from begin to end hold whole frames, and fillers between them.
	 */
	const char *(*boundary)(const char *begin, const char *at, const char *end);

	/*
	 * The id of the frame that begins at p; NULL: it has none. Ids of streams are written as
	 * they are.
	 */
	const char *(*find_id)(const char *p, const char *end, size_t *len);

	const char *
	    filler; /* bytes that say nothing between two frames, however often they are repeated */
};

extern const struct wire wire_event_stream, wire_ndjson;

/* wire_nth - the n-th wire, the default first; NULL past the last. */
const struct wire *wire_nth(size_t n);

#endif
