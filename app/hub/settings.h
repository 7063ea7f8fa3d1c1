#ifndef SLUICE_HUB_SETTINGS_H
#define SLUICE_HUB_SETTINGS_H

/*
 * settings - what a route's section says about its streams. One plain struct for all that is below
 * and above a feed, for the table of keys (config/keys.c) writes into it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "hub/outlet.h"
#include "hub/pace.h"
#include "logic/stages.h"
#include "logic/template.h"

enum queue_ack {
	QUEUE_ACK_AUTO,  /* what was written was had */
	QUEUE_ACK_CLIENT /* the client says so */
};

/* A key that the handler has for itself, and what holds of it. */
struct feed_own {
	const struct handler_key *key;
	char *text;                /* NULL: nothing */
	struct template *template; /* of HANDLER_TEMPLATE */
	uint64_t number;
};

/* What a route's section says about its streams. Borrowed by the class for its life. */
struct feed_settings {
	struct feed_own *own; /* as the handler's keys, in their order */
	size_t n_own;

	struct template *event; /* NULL: no event name */
	struct template *id;    /* NULL: no id but the message's */
	struct stages stages;
	struct pace_settings pace;
	struct template **command; /* its words, ends with NULL; NULL: none */
	unsigned interval_ms;
	unsigned timeout_ms, timeout_max_ms; /* of one that waits for an event */
	char *heartbeat_event;               /* "" : a comment */
	struct template *heartbeat_data;     /* NULL: an empty data line */
	uint64_t heartbeat_ms;               /* 0: none */
	uint64_t lifetime_ms, idle_ms;       /* 0: no end */
	uint64_t abandoned_ms;               /* 0: no end */
	struct template *abandoned_data;     /* NULL: the end alone */
	uint64_t max_events;                 /* 0: no end */
	uint64_t open_wait_ms;
	unsigned retry_ms;
	struct {
		bool is_beginning; /* where one without a Last-Event-ID begins: at the first entry,
				    */
		unsigned last;     /* or so many before the end; both unset: behind the end */
	} start;
	unsigned history;                  /* the most entries that one replay sends */
	bool keyspace_value;               /* what keys hold is told with what became of them */
	unsigned record;                   /* messages that are kept of each channel; 0: none */
	struct template **snapshot;        /* a command's words, ends with NULL; NULL: none */
	struct template *snapshot_missing; /* its data if there is none; NULL: no event */
	struct template
	    *snapshot_from;     /* of it: the cursor behind which to begin; NULL: as start */
	struct template *group; /* of a queue: its consumer group; NULL: it is none */
	enum queue_ack ack;
	unsigned claim_after_ms;
	unsigned prefetch;            /* the most entries that one holds unacknowledged */
	struct template *dead_letter; /* the stream for those delivered too often; NULL: none */
	unsigned max_deliveries;
	size_t queue; /* bytes that may wait for a client that is slow */
	enum overflow overflow;
	bool announce;
	bool is_of_user; /* its sources are named by the user or a claim: so are its events' ids */
};

#endif
