#ifndef SLUICE_HUB_RENDER_H
#define SLUICE_HUB_RENDER_H

/*
 * render - the one way of a message: the handler's verdict, the route's stages, a name and an id
 * for each event, into a sink. Whether it is live, replayed, waited for or of a queue: what a
 * handler withholds, nobody is sent.
 */
#include <stdbool.h>
#include <stdint.h>

#include "logic/message.h"
#include "logic/template.h"
#include "redis/stream_id.h"
#include "sse/event.h"

struct feed;

/* Where events go. Part of whatever takes them. */
struct sink {
	/* One event, borrowed and checked. of: what it was made of. is_last: after it comes the
	 * end, for good. */
	void (*put)(struct sink *to, const struct event *ev, const struct template_scope *of,
		    bool is_last);
};

/* Where a message stands. */
struct place {
	const struct stream_id *cursor; /* what the events' ids are */
	unsigned n_cursor;              /* of how many streams; 0: it is of none */
	const char *whose;              /* of hub/cursor.h */
	int callback; /* of the route's script: the feed's, or one that sees the past alone */
};

struct outcome {
	bool ends;         /* for good */
	bool has_failed;   /* to no result: who must not lose the message gives it again */
	bool is_poison;    /* it has killed workers, and was left out: has_failed, until it stands
			      in the quarantine */
	bool is_full;      /* what the script keeps takes all that it may have */
	uint64_t after_ms; /* the script wants to be called without a message; 0: not */
};

/* What who follows is told of one that is_poison. */
#define RENDER_POISON "{\"reason\":\"poison\"}"

/* render - what arrived from Redis, now or before. */
struct outcome
render(struct feed *fd, const struct place *at, struct message *arrived, struct sink *to);

/*
 * render_own - as render(), of what the handler offers, which it need not judge. msg NULL: the
 * script is called without a message.
 */
struct outcome
render_own(struct feed *fd, const struct place *at, struct message *msg, struct sink *to);

#endif
