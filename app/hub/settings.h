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
#include "hub/own.h"
#include "hub/pace.h"
#include "logic/stages.h"
#include "logic/template.h"

/* What a route's section says about its streams. Borrowed by the class for its life. */
struct feed_settings {
	struct own_keys own;    /* the handler's */
	struct template *event; /* NULL: no event name */
	struct template *id;    /* NULL: no id but the message's */
	struct stages stages;
	struct pace_settings pace;
	unsigned interval_ms;
	char *heartbeat_event;           /* "" : a comment */
	struct template *heartbeat_data; /* NULL: an empty data line */
	uint64_t heartbeat_ms;           /* 0: none */
	uint64_t lifetime_ms, idle_ms;   /* 0: no end */
	uint64_t abandoned_ms;           /* 0: no end */
	struct template *abandoned_data; /* NULL: the end alone */
	uint64_t max_events;             /* 0: no end */
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
	    *snapshot_from; /* of it: the cursor behind which to begin; NULL: as start */
	size_t queue;       /* bytes that may wait for a client that is slow */
	enum overflow overflow;
	bool announce;
	bool is_of_user; /* its sources are named by the user or a claim: so are its events' ids */
};

#endif
