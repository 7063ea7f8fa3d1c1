#ifndef SLUICE_SOURCE_QUEUE_PRIVATE_H
#define SLUICE_SOURCE_QUEUE_PRIVATE_H

/*
 * What queue.c (the feed and its subscribers), queue_give.c (who gets what) and queue_ask.c (what
 * Redis is asked) know of each other, and nobody else.
 */
#include <stdlib.h>

#include "hub/source.h"

/* What one subscriber holds of the queue. */
struct share {
	struct list of_queue;
	struct map_node by_subscriber;
	uintptr_t number; /* of sub: the key */
	struct subscriber *sub;
	struct list held;
	unsigned n_held;
	uint64_t n_given;
};

/* An entry that was given to a subscriber and is not acknowledged. */
struct pending_entry {
	struct list node; /* in share->held or queue->done */
	struct map_node by_id;
	struct share *share; /* NULL: it is done, and Redis must be told */
	uint64_t since_ms;   /* of the loop: when it was given */
	char id[STREAM_ID_TEXT];
};

enum queue_command {
	QUEUE_CREATE = 1 << 0,
	QUEUE_READ = 1 << 1,
	QUEUE_CLAIM = 1 << 2,
	QUEUE_ACK = 1 << 3,
	QUEUE_SWEEP = 1 << 4,
	QUEUE_LEAVE = 0 /* of which any number may be sent, for nobody waits */
};

struct queue {
	struct feed *feed; /* NULL: it has ended */
	const struct source *stream;
	struct list shares; /* by when each was given one: the first waits longest */
	struct map by_subscriber, by_id;
	struct list done;   /* to be acknowledged by us */
	bool is_known;      /* the group is there */
	unsigned in_flight; /* bits of enum queue_command: sent, and not answered */
	bool has_grown;     /* while we asked */
	bool has_timers;    /* they are not closed */
	uint64_t ask_at_ms; /* not before this time, because Redis has refused something */
	uint64_t claim_at_ms, sweep_at_ms;
	bool is_awaited; /* the feed waits for its confirmation */
	unsigned n_asked, n_claimed,
	    n_coming;       /* the most entries that may still come, by each command and in all */
	unsigned n_acking;  /* how many of done Redis is being told about */
	unsigned n_pending; /* commands whose answers have not come */
	uv_timer_t tick, soon;
	struct closing closing;                                 /* of them */
	char consumer[UNIQUE_LEN + 8], *key, *group, *dead_key; /* dead_key NULL: there is none */
	bool is_refused; /* Redis has refused what it was asked last */
	bool is_auto;    /* an entry is done when it has been written */
	uint64_t claim_after_ms;
	unsigned prefetch; /* the most unacknowledged entries of one subscriber */
	unsigned max_deliveries;
};

static inline struct queue *
queue_of(const struct feed *fd)
{
	return fd->kept;
}

static inline const struct feed_settings *
queue_settings(const struct queue *q)
{
	return q->feed->class->settings;
}

/* Frees it if its feed has ended and no answer is expected. */
static inline void
queue_free_if_done(struct queue *q)
{
	if (q->feed != NULL || q->n_pending > 0 || q->has_timers)
		return;
	free(q->group);
	free(q->key);
	free(q->dead_key);
	free(q);
}

/* queue_give.c */
struct redisReply;
unsigned queue_count_free(
    const struct queue *q); /* how many entries could be given out beyond those that are expected */
void queue_give_all(struct queue *q, const struct redisReply *entries); /* NULL: none */
/* Somebody has acknowledged entries. Returns whether they belong to our group. */
bool queue_acked(struct queue *q, const struct message *notice);
void queue_forget(struct queue *q, struct pending_entry *h); /* it concerns us no more */
void queue_expire(struct queue *q); /* entries that were held for longer than claim_after */
void
queue_finish(struct queue *q, struct pending_entry *h); /* it is done, and Redis must be told */

/* queue_ask.c */
void queue_go_on(struct queue *q);      /* asks for everything that can be asked for now */
void queue_go_on_soon(struct queue *q); /* once this turn is over */
void queue_acknowledge(struct queue *q);
void
queue_leave(struct queue *q); /* removes our consumer from the group; nothing is asked after it */

#endif
