#ifndef SLUICE_SSE_EVENT_H
#define SLUICE_SSE_EVENT_H

/*
 * event - what a client is sent, and its frames as text/event-stream. Pure: bytes in, bytes out.
 * Source: WHATWG HTML 9.2.5 "Parsing an event stream", 9.2.6 "Interpreting an event stream".
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct event {
	const char *id; /* NULL: no id field; "" is refused, for it would clear the client's */
	size_t id_len;
	const char *type; /* NULL or empty: "message", which is not written */
	size_t type_len;
	const char *data;
	size_t data_len;
	unsigned retry_ms; /* the client's reconnection time, on the way with it; 0: not said */
};

enum { EVENT_ID_MAX = 128, EVENT_TYPE_MAX = 128 };

/*
 * event_append - append ev to b as one frame: retry, id, event, data fields, blank line. A type
 * "message" is not written: it is what a client takes an event without a type for.
 *
 * data may hold any bytes; each CR, LF or CRLF ends a line, and empty data is
 * one empty data line, so that the client does dispatch it. Bytes that are not
 * UTF-8 become U+FFFD, one for each maximal subpart (Unicode 3.9, as the WHATWG
 * Encoding standard decodes), and are added to *n_replaced if it is not NULL.
 *
 * Borrows ev. On failure b is as it was. Returns 0, -EINVAL for an id or type
 * with CR, LF, NUL or that is not UTF-8 or too long, -EMSGSIZE past b's cap, -ENOMEM.
 */
int event_append(struct buf *b, const struct event *ev, size_t *n_replaced);

/*
 * event_fault - why may no message have these names: event_append() would not take them, they are
 * Sluice's own, or a browser would not send the id back to another origin without asking first?
 * NULL: it may. Else a clause to say of the event, a constant.
 * Source: Fetch, 2.2.2 "CORS-unsafe request-header byte".
 */
const char *event_fault(const struct event *ev);

/*
 * event_append_lines - "retry:" and "id:" without the blank line: they are the first lines of
 * whatever frame comes next. Many clients hand a frame without data on as an empty message, so
 * there is none but the one below. retry_ms 0, id NULL: no such line. Errors as event_append.
 */
int event_append_lines(struct buf *b, unsigned retry_ms, const char *id, size_t len);

/*
 * event_append_id - an id and nothing else: it sets the client's last event ID
 * and dispatches nothing (9.2.6). Errors as event_append.
 */
int event_append_id(struct buf *b, const char *id, size_t len);

/* event_append_heartbeat - as event_append(); without a type the line ":", which may stand before
 * any line. */
int event_append_heartbeat(struct buf *b, const struct event *ev);

/* event_names_are_ok - would event_append() take the id and the type? */
bool event_names_are_ok(const struct event *ev);

/*
 * event_boundary - the first place at or behind at where a frame begins, in bytes from begin to end
 * that hold whole frames and comments; end if there is none.
 */
const char *event_boundary(const char *begin, const char *at, const char *end);

/* event_is_reserved - is the name one that only Sluice may send ("stream-…")? */
bool event_is_reserved(const char *type, size_t len);

/* event_is_end_id - does the id say that its stream was ended for good (".end")? */
bool event_is_end_id(const char *id, size_t len);

#endif
