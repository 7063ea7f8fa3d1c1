#ifndef SLUICE_ROUTE_MUX_LEG_H
#define SLUICE_ROUTE_MUX_LEG_H

/*
 * mux_leg - one subscription of a mux connection: a subscriber whose bytes go to the connection
 * instead of a web server.
 */
#include "base/list.h"
#include "fcgi/params.h"
#include "hub/subscriber.h"
#include "route/mux_say.h"
#include "sse/event.h"

/* The subscriptions of one connection, and what they have of it. */
struct mux_legs {
	struct mux_say say;
	struct params vars; /* of its request, for those of its subscriptions; owned */
	const char *route;  /* its name; borrowed */
	struct list all;
	size_t n;
	size_t lag_max;  /* bytes that may wait for its client before its subscriptions wait */
	bool has_paused; /* some of them do */
};

struct mux_leg {
	struct subscriber sub;
	struct list of_mux;
	struct mux_legs *legs;
	struct mux_slot *slot; /* NULL: it came by POST */
	char *key;
	char *envp[8]; /* those that differ from the connection's; owned */
	struct params vars;
	struct buf in;    /* what is not dealt with */
	size_t n_scanned; /* of it: no frame ends there */
	bool has_head, is_stream, is_problem, is_too_long;
	int status;
	char last_id[EVENT_ID_MAX + 1]; /* as its client is told */
	char place[EVENT_ID_MAX + 1];   /* from which its feed can go on; empty: it cannot */
};

/*
 * mux_leg_new - one that no request was made for yet: that is vars, for sub. It frees itself when
 * its stream is over, and tells its client so. slot: NULL if it came by POST; last_id: "" is none.
 * NULL for lack of memory.
 */
struct mux_leg *mux_leg_new(struct mux_legs *legs, struct mux_slot *slot, const char *key,
			    const char *path, const char *last_id);

/* mux_leg_end - without a word to its client. */
void mux_leg_end(struct mux_leg *leg);

struct mux_leg *
mux_leg_find(const struct mux_legs *legs, const char *key); /* NULL: there is none */

/* mux_legs_go_on - the connection's client has read all: those that waited for it are sent. */
void mux_legs_go_on(struct mux_legs *legs);

#endif
