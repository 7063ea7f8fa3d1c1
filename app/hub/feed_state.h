#ifndef SLUICE_HUB_FEED_STATE_H
#define SLUICE_HUB_FEED_STATE_H

/*
 * feed_state - a hub and its feeds, as the files of hub/ see them, and those of source/, which
 * stand above. Each of these files calls only those before it:
 *
 *   fifo log drain handler_setting cursor         what falls due; frames; keys; places
 *   announce watch short_answer subscriber outlet a response, and who reads a log
 *   turn subjects                                 when all are written; what is followed in Redis
 *   refusal pace render emit feed_logic           what becomes of a message
 *   feed source feed_handler silence feed_life    messages; following; begin and end of a feed
 *   class shed hub                                the feeds of a route, and of a worker
 *
 * Nothing is freed while messages are delivered or subscribers are written: subscribers end by a
 * state, feeds without a subscriber linger or are swept at the turn's end. So every walk in these
 * folders may call anything.
 */
#include "base/closing.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/count.h"
#include "hub/cursor.h"
#include "hub/feed.h"
#include "hub/fifo.h"
#include "hub/hub.h"
#include "hub/outlet.h"
#include "hub/subjects.h"
#include "logic/rendering.h"

/*
 * How long a feed waits for the next subscriber, and how long an ended stream waits for its client
 * to read the end.
 */
enum { FEED_LINGER_MS = 5000, END_LINGER_MS = 10000 };

enum { SUBJECT_NAME_MAX = 1024, STREAM_KEY_MAX = 2 * SUBJECT_NAME_MAX }; /* Redis: 512 MB */

struct feed {
	struct feed_class *class;
	struct map_node by_key;
	struct list of_class; /* class->feeds */
	struct outlet out;
	struct source *sources;
	struct feed_listener *listeners; /* of source.h: what takes events beside the subscribers */
	void *data;                      /* the handler's */
	void *kept;                      /* what the kind of feed keeps; NULL: nothing */
	struct cursor *cursor;           /* NULL: nothing that the feed follows can be read again */
	struct feed_logic *logic;        /* NULL: as for most */
	/* If anybody is there: in class->beats; otherwise in hub->lingering, at last in hub->dead
	 */
	struct fifo_node due;
	unsigned n_unconfirmed; /* what Redis must still confirm before anybody is let in */
	bool was_confirmed; /* it was let in once, so what happened since may have been missed */
	bool is_tended;     /* the class's own feed without subscribers, for the handler's tend() */
	bool is_dead;       /* it will be freed at the turn's end */
	/* ends with NULL; behind it stand their values, which are the feed's key */
	struct template_value params[];
};

struct hub {
	uv_loop_t *loop;
	struct outlets outlets;
	struct subjects *subjects;
	struct past *past;
	struct command *command; /* NULL: there is none to ask */
	struct subscription noticed;
	hub_notice_fn notice; /* of it */
	void *notice_arg;
	hub_event_fn on_event; /* NULL: nobody asks */
	struct list classes;
	struct list parts; /* of source.h */
	struct list dead;  /* feeds to free at the turn's end */
	struct fifo lingering;
	struct buf frame, type, id, key; /* what is being encoded */
	struct rendering rendering;      /* what a route's logic made of the message */
	uv_timer_t drain;
	uint64_t drain_total, drain_done; /* how many subscribers a drain ends, and has ended */
	bool is_full;                     /* there is no memory for more streams */
	struct closing closing;
};

static inline struct feed *
feed_of(const struct outlet *o)
{
	return LIST_ENTRY(o, struct feed, out);
}

static inline bool
feed_has_listeners(const struct feed *fd)
{
	return fd->listeners != NULL;
}

/* Is anybody there? */
static inline bool
feed_is_wanted(const struct feed *fd)
{
	return fd->out.n_subs > 0 || feed_has_listeners(fd);
}

/* Counts for the feed's route. */
static inline void
feed_count(const struct feed *fd, enum counter c, int64_t n)
{
	counters_add_of(fd->class->out.counted, c, n);
}

static inline void
feed_count_drop(const struct feed *fd, int rc)
{
	count_drop(fd->class->out.counted, rc);
}

#endif
