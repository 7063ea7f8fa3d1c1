#ifndef SLUICE_ROUTE_MUX_SAY_H
#define SLUICE_ROUTE_MUX_SAY_H

/*
 * mux_say - the events that a mux connection sends to its client. They are named "mux". The first
 * line of the data is a JSON array of the subscription's key, the event's name and its id; the rest
 * is the event's data. Each event has the one id of the connection, which lists where its
 * subscriptions stand.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sluice/handler.h>

#include "base/buf.h"
#include "sse/frame.h"

#define MUX_OVER     "-" /* in an id: the subscription is over, and must not be asked for again */
#define MUX_FOR_GOOD "{\"for_good\":true}" /* the data of a "mux-end" */
#define MUX_UNKNOWN  "~"                   /* an id from which nobody can resume */

enum { MUX_TEXT_MAX = 16 * 1024 * 1024 }; /* of an event */

/* One subscription of the address. */
struct mux_slot {
	const char *place; /* where it stands; borrowed from the subscription; NULL: that is gone */
	char *left;        /* where it stood when it ended; owned; or NULL */
};

struct mux_say {
	struct feed *feed;      /* the connection's feed, into whose log it writes; borrowed */
	struct mux_slot *slots; /* one for each subscription of the address; owned */
	size_t n_slots;
	struct buf text, id; /* of an event */
};

void mux_say_init(struct mux_say *say, struct feed *feed);
void mux_say_fini(struct mux_say *say);

/* mux_say_make_slots - the address asks for n subscriptions. Returns 0, -ENOMEM. */
int mux_say_make_slots(struct mux_say *say, size_t n);

/*
 * mux_say - sends one event; if memory is short it is lost, and that is logged. id: of the
 * subscription; "": none. mux_say_text: without an id. mux_say_refused: a problem document.
 */
void mux_say(struct mux_say *say, const char *key, const char *type, const char *id,
	     const char *data, size_t len);
void mux_say_text(struct mux_say *say, const char *key, const char *type, const char *data);
void mux_say_refused(struct mux_say *say, const char *key, int status, const char *detail);

/*
 * mux_say_frame - sends what a frame of a subscription's stream says, up to end. Returns 0,
 * -EMSGSIZE, -ENOMEM.
 */
int mux_say_frame(struct mux_say *say, const char *key, const struct frame *said, const char *end,
		  const char *id);

/*
 * mux_place - the form of an id inside the connection's id; MUX_OVER if it says that the stream is
 * over.
 */
const char *mux_place(const char *id);

/*
 * mux_is_place - may it stand in the connection's id? It comes from a client, and stands among
 * others with a ";" between them.
 */
bool mux_is_place(const char *text);

/*
 * mux_slot_leave - the subscription, which stood at this place, has ended. If memory is short the
 * place is lost.
 */
void mux_slot_leave(struct mux_slot *slot, const char *place);

#endif
