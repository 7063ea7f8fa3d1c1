#ifndef SLUICE_ROUTE_MUX_LEG_H
#define SLUICE_ROUTE_MUX_LEG_H

/*
 * mux_leg - one subscription of a mux connection: a subscriber whose bytes go to the connection and
 * not to a web server.
 */
#include "base/list.h"
#include "fcgi/params.h"
#include "hub/subscriber.h"
#include "route/mux_say.h"
#include "sse/event.h"

/* The subscriptions of one connection, and what they need of it. */
struct mux_legs {
	struct mux_say say;
	struct params vars; /* variables of the connection's request, for the requests of its
			       subscriptions; owned */
	const char *route;  /* its name; borrowed */
	struct list all;
	size_t n;
	/* how many bytes may wait for the client before its subscriptions wait, too */
	size_t lag_max;
	bool has_paused; /* some of them do */
};

/* What the subscription was answered with, as its head says. */
enum mux_answer {
	MUX_NO_HEAD, /* its head has not come */
	MUX_STREAM,  /* an event stream */
	MUX_NOTHING, /* 204: there is no more to come, for good */
	MUX_PROBLEM, /* a problem document: it was refused */
	MUX_OTHER    /* what no connection carries */
};

struct mux_leg {
	struct subscriber sub;
	struct list of_mux;
	struct mux_legs *legs;
	struct mux_slot *slot; /* NULL: it came by POST */
	char *key;
	char *envp[8]; /* variables that differ from the connection's; owned */
	struct params vars;
	struct buf in;    /* what is not dealt with */
	size_t n_scanned; /* how many bytes of it were searched, and hold no end of a frame */
	enum mux_answer answer;
	bool is_too_long;               /* for one event of the connection */
	char last_id[EVENT_ID_MAX + 1]; /* as its client is told */
	char place[EVENT_ID_MAX + 1];   /* the id from which its feed can go on; empty: it cannot */
};

/*
 * mux_leg_new - makes a subscription without a request; the caller then serves one for sub, with
 * vars. When its stream is over, it tells its client so and frees itself. slot: NULL if it came by
 * POST; last_id: "" is none. Returns NULL if memory is short.
 */
struct mux_leg *mux_leg_new(struct mux_legs *legs, struct mux_slot *slot, const char *key,
			    const char *path, const char *last_id);

/* mux_leg_end - ends it, and does not tell its client. */
void mux_leg_end(struct mux_leg *leg);

struct mux_leg *
mux_leg_find(const struct mux_legs *legs, const char *key); /* NULL: there is none */

/*
 * mux_legs_go_on - the connection's client has read everything, so subscriptions that waited are
 * sent.
 */
void mux_legs_go_on(struct mux_legs *legs);

#endif
