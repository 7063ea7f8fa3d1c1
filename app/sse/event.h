#ifndef SLUICE_SSE_EVENT_H
#define SLUICE_SSE_EVENT_H

/*
 * event - what a client is sent, and which names it may have. How it is written is a wire's. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

struct event {
	/* NULL: no id field; "" is refused, because it would delete the client's id */
	const char *id;
	size_t id_len;
	const char *type; /* NULL or empty: "message", which is not written */
	size_t type_len;
	const char *data;
	size_t data_len;
	/* the client's reconnection time, which is sent with the event; 0: none */
	unsigned retry_ms;
	/* the channel that it was published on, which no wire writes; NULL: none */
	const char *channel;
	size_t channel_len;
};

enum { EVENT_ID_MAX = 128, EVENT_TYPE_MAX = 128 };

/*
 * event_fault - why a message may not have these names: no wire takes them, or they are Sluice's
 * own, or a browser would not send the id back to another origin without a preflight. Returns a
 * clause about the event, a constant; NULL: they are fine.
 * Source: Fetch, 2.2.2 "CORS-unsafe request-header byte".
 */
const char *event_fault(const struct event *ev);

/* event_names_are_ok - does a wire take the id and the type: without CR, LF and NUL, UTF-8, not too
 * long, and the id, if there is one, not empty? */
bool event_names_are_ok(const struct event *ev);

/* event_is_reserved - is the name one that only Sluice may send ("stream-…")? */
bool event_is_reserved(const char *type, size_t len);

/* event_is_end_id - does the id say that its stream was ended for good (".end")? */
bool event_is_end_id(const char *id, size_t len);

#endif
