#ifndef SLUICE_HUB_FEED_H
#define SLUICE_HUB_FEED_H

/*
 * feed - the work that subscribers of one route with the same parameters share.
 *
 * What is done to a message is done once per feed, and ends as bytes in the
 * feed's log, which each subscriber reads from its own cursor. A feed outlives
 * its last subscriber by some seconds, so that the reload of a page costs Redis
 * nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "base/list.h"
#include "base/logger.h"
#include "base/map.h"
#include "hub/fifo.h"
#include "hub/outlet.h"
#include "hub/pace.h"
#include "hub/subscriber.h"
#include "logic/stages.h"
#include "logic/template.h"

struct hub;

enum queue_ack {
	QUEUE_ACK_AUTO,  /* what was written was had */
	QUEUE_ACK_CLIENT /* the client says so */
};

/* What a route's section says about its streams. Borrowed by the class for its life. */
/* A key that the handler has for itself, and what holds of it. */
struct feed_own {
	const struct handler_key *key;
	char *text;                /* NULL: nothing */
	struct template *template; /* of HANDLER_TEMPLATE */
	uint64_t number;
};

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

/*
 * feed_class - the feeds of one route: they share settings, handler, and the lists in
 * which things fall due.
 */
struct feed_class {
	struct hub *hub;
	const struct handler *handler;
	struct feed_settings *settings; /* not const: scripts run in it */
	const void *route;              /* for feed_subjects(), which the route implements */
	unsigned counted;               /* the route's tally (base/counters) */
	struct list of_hub;
	struct list feeds;
	struct map by_key;
	struct fifo beats;               /* feeds, by when they last sent anything */
	struct fifo lifetimes;           /* subscribers, by when they opened */
	struct fifo idles;               /* subscribers, by when they were last sent a message */
	struct fifo openings;            /* subscribers that wait for Redis to confirm */
	struct fifo silences;            /* feeds, by when their last message came */
	struct fifo windows;             /* of feeds' rates, by when they opened */
	struct fifo batches;             /* of feeds, by when they began */
	struct logger_pause log_refused; /* of events that may not be sent */
	struct logger_pause refusals;
	bool is_closing;
	struct closing closing; /* of its timers */
	void (*on_closed)(struct feed_class *fc);
};

/* feed_class_init - settings, handler and route are borrowed until the class is closed. */
void feed_class_init(struct feed_class *fc, struct hub *hub, const struct handler *handler,
		     struct feed_settings *settings, const void *route);

/*
 * feed_class_close - end its subscribers with the reason, let no new one in, and
 * call on_closed once the last of its feeds is gone and its timers are closed.
 */
void feed_class_close(struct feed_class *fc, enum end_reason reason,
		      void (*on_closed)(struct feed_class *fc));

/*
 * feed_get - the feed of the class for these parameters, written by wire, opened by the handler if
 * there is none. params are the values on which the feed depends, always the same names in the same
 * order for one class; they end with a NULL name. Values are copied, names borrowed for the
 * class's life. Returns 0 and *out, borrowed until control returns to the loop; the HTTP
 * status that the handler refused with; or -ENOMEM.
 */
int feed_get(struct feed **out, struct feed_class *fc, const struct wire *wire,
	     const struct template_value *params, const struct request *req);

/*
 * feed_join - sub becomes an open event stream of fd. head is the CGI response head with
 * its blank line, copied; it is sent once Redis has confirmed the feed's
 * subscriptions, or open_wait is over. last_event_id is what the client has seen, or NULL. Returns
 * 0, -ENOMEM.
 */
int feed_join(struct feed *fd, struct subscriber *sub, const char *head, size_t head_len,
	      const char *last_event_id);

/*
 * subscriber_put_end - the last frame of a stream that ends for this reason, as the settings say;
 * retry_ms 0: the client knows when to come back. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int subscriber_put_end(struct buf *b, const struct wire *wire, const struct feed_settings *fs,
		       enum end_reason reason, unsigned retry_ms);

/* feed_emit - encode one event for all subscribers. Returns 0, -EINVAL, -EMSGSIZE, -ENOMEM. */
struct event;
int feed_emit(struct feed *fd, const struct event *ev);

/* feed_can_resume - are its events' ids places to go on from? */
bool feed_can_resume(const struct feed *fd);

/* feed_n_unsent - bytes that wait for its first subscriber: of a private feed its only one. */
size_t feed_n_unsent(const struct feed *fd);

/* feed_probe - subscriber_probe() of all. */
void feed_probe(struct feed *fd);

/* feed_on_flushed - fn is called when a subscriber was written all that it had. 0, -ENOMEM. */
typedef void (*feed_flushed_fn)(struct feed *fd);
int feed_on_flushed(struct feed *fd, feed_flushed_fn fn);

#endif
