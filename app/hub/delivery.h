#ifndef SLUICE_HUB_DELIVERY_H
#define SLUICE_HUB_DELIVERY_H

/*
 * delivery - one message on its way through a route's stages: named events come out, and go where
 * the delivery says: into the feed's log, or to one subscriber that is sent what came before it.
 */
#include <stdbool.h>

#include "logic/message.h"
#include "logic/template.h"
#include "redis/stream_id.h"
#include "sse/event.h"

struct feed;
struct delivery;

struct delivery {
	struct feed *feed;
	struct template_scope scope;    /* delivery_run() sets it */
	const struct stream_id *cursor; /* what the events' ids are; NULL: not from streams */
	unsigned n_cursor;              /* of how many streams */
	int callback;                   /* of the route's script */
	uint64_t after_ms;              /* the script wants to be called again; 0: not */
	/* One event, borrowed, checked. is_last: after it comes the end, for good. */
	void (*send)(struct delivery *dl, const struct event *ev, bool is_last);
	void *arg;
};

/*
 * delivery_run - msg NULL: the script is called without one. Returns whether the end has come, for
 * good.
 */
bool delivery_run(struct delivery *dl, struct message *msg, bool is_last);

#endif
