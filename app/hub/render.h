#ifndef SLUICE_HUB_RENDER_H
#define SLUICE_HUB_RENDER_H

/*
 * render - the one way that messages take: the handler's verdict, the route's stages, a name and an
 * id for each event, then a sink. Live messages take it, replayed ones, those that a request waits
 * for, and those of a queue. So what a handler withholds nobody is sent.
 */
#include <stdbool.h>
#include <stdint.h>

#include "logic/message.h"
#include "logic/template.h"
#include "redis/stream_id.h"
#include "sse/event.h"

struct feed;

/* Where events go. Each taker of events embeds one. */
struct sink {
	/*
	 * Takes one event, which is borrowed and checked. of: what the event was made of. is_last:
	 * then the stream ends for good.
	 */
	void (*put)(struct sink *to, const struct event *ev, const struct template_scope *of,
		    bool is_last);
};

/* Where a message stands. */
struct place {
	const struct stream_id *cursor; /* what the events' ids are */
	unsigned n_cursor; /* of how many streams; 0: the message comes from no stream */
	const char *whose; /* of hub/cursor.h */
	int callback;      /* the state of the route's script: the feed's, or one for a replay */
};

struct outcome {
	bool ends;         /* for good */
	bool has_failed;   /* there is no result; a source that must not lose the message gives it
			      again */
	bool is_poison;    /* it has killed workers and was left out; has_failed, until it stands in
			      the quarantine */
	bool is_full;      /* what the script keeps takes all the memory that it may have */
	uint64_t after_ms; /* when the script wants to be called without a message; 0: not at all */
};

/* What subscribers are told instead of a message that is_poison. */
#define RENDER_POISON "{\"reason\":\"poison\"}"

/* render - renders a message of Redis, of now or of the past. */
struct outcome
render(struct feed *fd, const struct place *at, struct message *arrived, struct sink *to);

/*
 * render_own - as render(), for what the handler offers itself, so it is not asked again. msg NULL:
 * the script is called without a message.
 */
struct outcome
render_own(struct feed *fd, const struct place *at, struct message *msg, struct sink *to);

#endif
