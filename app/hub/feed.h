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
#include "hub/settings.h"
#include "hub/subscriber.h"
#include "logic/template.h"

struct feed_kind;
struct hub;

/*
 * feed_class - the feeds of one route. They share the settings, the handler, and the lists in which
 * things fall due.
 */
struct feed_class {
	struct hub *hub;
	const struct handler *handler;
	const struct feed_kind *kind;
	struct feed_settings *settings; /* not const, because scripts run in it */
	struct outlet_class out; /* what the outlets of its feeds share, the route's tally too */
	struct list of_hub;
	struct list feeds;
	struct map by_key;
	struct fifo beats;    /* feeds, in the order in which they last sent anything */
	struct fifo silences; /* feeds, in the order in which their last message came */
	struct pace_fifos pace;
	struct logger_pause log_refused; /* about events that may not be sent */
	struct logger_pause refusals;
	bool is_closing;
	struct closing closing; /* of its timers */
	void (*on_empty)(
	    struct feed_class *fc); /* called when its last feed is gone; for class.c */
	void (*on_closed)(struct feed_class *fc);
};

/*
 * feed_class_init - settings and handler are borrowed until the class is closed. kind is one
 * of source/kinds.h.
 */
void feed_class_init(struct feed_class *fc, struct hub *hub, const struct handler *handler,
		     struct feed_settings *settings, const struct feed_kind *kind);

/*
 * feed_class_close - ends its subscribers with the reason and lets no new one in. Calls on_closed
 * once the last of its feeds is gone and its timers are closed.
 */
void feed_class_close(struct feed_class *fc, enum end_reason reason,
		      void (*on_closed)(struct feed_class *fc));

/*
 * feed_life.c: feed_get - finds the feed of the class for these parameters and this wire; if there
 * is none, the handler opens one. params are the values on which the feed depends: for one class
 * always the same names in the same order. They end with a NULL name. Values are copied, names are
 * borrowed for the class's life. Returns 0 and *out, borrowed until control returns to the loop;
 * the HTTP status that the handler refused with; or -ENOMEM.
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

/* emit.c: feed_emit - encodes one event for all subscribers. Returns 0, -EINVAL, -EMSGSIZE,
 * -ENOMEM. */
struct event;
int feed_emit(struct feed *fd, const struct event *ev);

/* feed_life.c: feed_of_stream - the feed that sub has joined; NULL: none. */
struct feed *feed_of_stream(const struct subscriber *sub);

/* feed_can_resume - can a client go on from the id of an event? */
bool feed_can_resume(const struct feed *fd);

/*
 * feed_n_unsent - bytes that wait for its first subscriber, which is the only one of a private
 * feed.
 */
size_t feed_n_unsent(const struct feed *fd);

/* feed_probe - calls subscriber_probe() for each subscriber. */
void feed_probe(struct feed *fd);

/*
 * feed_on_flushed - fn is called whenever all bytes that waited for a subscriber have been sent.
 * Returns 0, -ENOMEM.
 */
typedef void (*feed_flushed_fn)(struct feed *fd);
int feed_on_flushed(struct feed *fd, feed_flushed_fn fn);

#endif
