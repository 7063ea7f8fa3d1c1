#ifndef SLUICE_HUB_SETTINGS_H
#define SLUICE_HUB_SETTINGS_H

/*
 * settings - what a route's section says about its streams. It is one plain struct for everything
 * below and above a feed, because the table of keys (config/keys.c) writes into it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "hub/handler_setting.h"
#include "hub/outlet.h"
#include "hub/pace.h"
#include "logic/stages.h"
#include "logic/template.h"

/* What a route's section says about its streams. The class borrows it for its life. */
struct feed_settings {
	struct handler_settings handler_settings; /* of the keys that the handler adds */
	struct template *event;                   /* NULL: no event name */
	struct template *id; /* NULL: events have no id but that of their message */
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
		bool is_beginning; /* where a client without a Last-Event-ID begins: at the first
				      entry, */
		unsigned last; /* or this many before the end; if neither is set: behind the end */
	} start;
	unsigned history;           /* the most entries that one replay sends */
	bool keyspace_value;        /* a change of a key is told with the key's value */
	unsigned record;            /* how many messages of each channel are kept; 0: none */
	struct template **snapshot; /* a command's words, ends with NULL; NULL: none */
	/* the snapshot's data if there is no such key; NULL: no event */
	struct template *snapshot_missing;
	/* the cursor in it, behind which to begin; NULL: begin as start says */
	struct template *snapshot_from;
	size_t queue; /* bytes that may wait for a slow client */
	enum overflow overflow;
	bool announce;
	bool is_of_user; /* the user or a claim names its sources, so ids belong to a user */
};

#endif
