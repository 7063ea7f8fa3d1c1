#ifndef SLUICE_HUB_SUBSCRIBER_H
#define SLUICE_HUB_SUBSCRIBER_H

/*
 * subscriber - one client's response: an open event stream, or a short answer.
 *
 * Its bytes are first its own (the head, a heartbeat before it reads the log,
 * the end), then its outlet's log from its cursor on. What carries them (a
 * FastCGI connection, or standard output under plain CGI) embeds the struct,
 * gathers the bytes that wait, and says how many the descriptor took. A
 * subscriber without an outlet has only bytes of its own: a short answer goes the
 * same way as a stream.
 *
 * It knows its outlet, and nothing of feeds: whose outlet it is, is told by its ops.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "http/answer.h"
#include "base/map.h"
#include "hub/fifo.h"
#include "hub/log.h"

struct outlet;
struct subscriber;

enum subscriber_state {
	SUBSCRIBER_NEW,       /* nothing was asked of it yet */
	SUBSCRIBER_WAITING,   /* joined, and Redis has not confirmed; own bytes only */
	SUBSCRIBER_REPLAYING, /* is sent what came before: own bytes only */
	SUBSCRIBER_OPEN,      /* reads the log */
	SUBSCRIBER_LAPSED, /* blocked, and so far behind that it has no place in the log any more */
	SUBSCRIBER_ENDING, /* reads the log up to end_at, then its stream-end */
	SUBSCRIBER_LAST,   /* nothing follows its own bytes */
	SUBSCRIBER_GONE    /* in no list, belongs to no outlet */
};

/* Why a stream ended: the "reason" of stream-end, or of stream-done if it ended for good. */
enum end_reason {
	END_UNTIL,
	END_MAX_EVENTS,
	END_ABANDONED,
	END_LIFETIME,
	END_IDLE,
	END_SLOW,
	END_RELOAD,
	END_DRAIN,
	END_AUTH
};

enum send_result {
	SEND_ALL,     /* all that waited was taken, or the subscriber is finished */
	SEND_BLOCKED, /* the descriptor takes no more: it will call subscriber_unblocked() */
	SEND_GONE     /* the client is gone; the carrier has called subscriber_close() */
};

struct subscriber_ops {
	/*
	 * Write what waits. Called by the hub at the end of a turn, never from
	 * within a call of the carrier's. When subscriber_is_finished() becomes
	 * true by it, the carrier ends the response and calls subscriber_close();
	 * it may free the struct before it returns SEND_GONE.
	 */
	enum send_result (*send)(struct subscriber *sub);
	/* End the response now, whatever waits: the hub gives up on a client that does not read. */
	void (*abort)(struct subscriber *sub);
	/* Its client is another's: have that one probed. NULL: it is its own. */
	void (*probe)(struct subscriber *sub);
};

/*
 * Who wants to know when a stream has gone; a part of whatever it is. Few streams are watched, so
 * the hub knows who watches which.
 */
struct subscriber_watch {
	void (*left)(struct subscriber_watch *watch);
	struct map_node by_subscriber; /* the rest is the hub's */
	uintptr_t number;
};

/* Who will give a short answer later; a part of whatever it is. */
struct subscriber_holder {
	struct subscriber *sub; /* NULL: it has gone, or has its answer */
	/* It has gone without its answer: what was kept for it is to be given back. May be NULL. */
	void (*left)(struct subscriber_holder *holder);
};

/* What came before a subscriber, which is sent it before it reads the log; a part of whatever it
 * is. */
struct backlog;

struct backlog_ops {
	/* Redis has confirmed: begin, by subscriber_begin_replay() or subscriber_open_at(). */
	void (*begin)(struct backlog *backlog);
	void (*taken)(struct backlog *backlog);  /* the client has been written all that it had */
	void (*cancel)(struct backlog *backlog); /* it is not wanted any more */
};

struct backlog {
	const struct backlog_ops *ops;
};

struct subscriber {
	const struct subscriber_ops *ops;
	struct outlet *outlet;
	struct list node;         /* one of: outlet->caught_up, turn->ready; or none */
	struct list joined;       /* outlet->joined, in the order of joining */
	struct heap_node blocked; /* outlet->blocked; key: no frame before it is to be sent whole */
	struct fifo_node life;    /* its route's lifetime; while it ends, the hub's linger */
	struct fifo_node quiet;   /* its route's idle; while it waits, open_wait */
	struct log_piece rest; /* of the frame that was on its way when it left the log: sent first
				*/
	struct buf own;
	union {
		uint64_t cursor;                  /* offset in the log of the next byte to send */
		struct subscriber_holder *holder; /* no stream: who will answer it later */
		struct backlog *backlog;          /* before it is OPEN; NULL: there is none */
	};
	uint64_t end_at;      /* the log is read up to here */
	uint32_t n_before;    /* outlet->n_events when it opened */
	uint32_t n_seen;      /* and when it last had them all */
	unsigned char state;  /* enum subscriber_state */
	unsigned char reason; /* enum end_reason, from ENDING on */
	bool is_held;         /* WAITING, and its head is not to be sent yet */
	bool is_blocked;      /* the descriptor takes no more */
	bool is_watched;      /* by a subscriber_watch */
	bool is_told_retry;   /* when to come back */
};

/* subscriber_init - for the carrier; sub is NEW. */
void subscriber_init(struct subscriber *sub, const struct subscriber_ops *ops);

/*
 * subscriber_answer - make sub a short answer, which has ended and is copied; without its body if
 * only the head was asked for. The carrier sends it as soon as the call that handed it the request
 * returns (it looks at subscriber_has_bytes()), or on its next send.
 * Returns 0, -ENOMEM, -EMSGSIZE past 1 MiB; sub is LAST in any case.
 */
int subscriber_answer(struct subscriber *sub, const struct answer *a, bool with_body);
/* And what is refused before there is a request to route: a status. */
void subscriber_answer_problem(struct subscriber *sub, int status);

/* subscriber_hold - holder will answer sub. subscriber_let_go - now: returns sub; NULL: it has
 * gone. */
void subscriber_hold(struct subscriber *sub, struct subscriber_holder *holder);
struct subscriber *subscriber_let_go(struct subscriber_holder *holder);

/*
 * subscriber_gather - what waits, at most max bytes, in at most *n_iov pieces.
 * Sets *n_iov to the pieces used. Returns the bytes. The pieces stay valid until
 * control returns to the loop or subscriber_sent() is called.
 */
size_t subscriber_gather(const struct subscriber *sub, struct iovec *iov, int *n_iov, size_t max);

/* subscriber_sent - the first len of the gathered bytes are on their way. */
void subscriber_sent(struct subscriber *sub, size_t len);

bool subscriber_has_bytes(const struct subscriber *sub); /* would gather give any? */

/* subscriber_filler - the bytes that say nothing where its next byte stands, to be repeated. */
const char *subscriber_filler(const struct subscriber *sub);

/*
 * subscriber_end_filler - the filler was sent in part, behind all that was gathered: what follows
 * begins on a line of its own. Returns 0, -ENOMEM.
 */
int subscriber_end_filler(struct subscriber *sub);

bool subscriber_is_finished(const struct subscriber *sub); /* LAST, and all is sent */
/* subscriber_is_over_after - is the response over once the next len bytes are sent? */
bool subscriber_is_over_after(const struct subscriber *sub, size_t len);
/* subscriber_n_unsent - bytes that wait, its own and the log's. */
size_t subscriber_n_unsent(const struct subscriber *sub);

/*
 * subscriber_unblocked - the descriptor takes bytes again: the hub calls send() at the turn's
 * end. For a short answer it calls send() itself, after which sub may be gone.
 */
void subscriber_unblocked(struct subscriber *sub);

/*
 * subscriber_end - end it: what its outlet was put so far, then stream-end with the
 * reason, then the end of the response. Safe in any callback and in any state;
 * only the first call counts.
 */
void subscriber_end(struct subscriber *sub, enum end_reason reason);

/*
 * subscriber_probe - is its client still there? Something that says nothing is written to it,
 * unless bytes wait for it anyway: then it is the carrier that will notice.
 */
void subscriber_probe(struct subscriber *sub);

/*
 * subscriber_watch - sub, which is a stream, is watched by one until it has gone: then left()
 * is called, and watch may be freed. subscriber_unwatch: it is not any more. Returns 0, -ENOMEM.
 */
int subscriber_watch(struct subscriber *sub, struct subscriber_watch *watch);
void subscriber_unwatch(struct subscriber *sub, struct subscriber_watch *watch);

/* subscriber_close - the client is gone, or all is sent: leave the outlet, free what sub holds. */
void subscriber_close(struct subscriber *sub);

/* subscriber_is_stream - it has joined an outlet; else it is a short answer, or nothing yet. */
static inline bool
subscriber_is_stream(const struct subscriber *sub)
{
	return sub->outlet != NULL;
}

/* subscriber_reads_log - from its cursor on. */
static inline bool
subscriber_reads_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_OPEN || sub->state == SUBSCRIBER_ENDING;
}

/* subscriber_is_open - it is sent what comes; one that is too slow, too, sooner or later. */
static inline bool
subscriber_is_open(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_OPEN || sub->state == SUBSCRIBER_LAPSED;
}

/* For its outlet, and whose outlet it is */

/*
 * subscriber_join - sub, which is NEW, is WAITING: its head, which is copied, is held until it is
 * opened or released. Its backlog is set, or NULL. Returns 0, -ENOMEM: then nothing has changed.
 */
int subscriber_join(struct subscriber *sub, struct outlet *o, const char *head, size_t head_len);

/*
 * subscriber_open - Redis has confirmed: tell it, and let it read the log from its end. cursor:
 * where its client stands, for its next Last-Event-ID; NULL: nowhere. state: a frame that says how
 * things stand, or nothing.
 */
void subscriber_open(struct subscriber *sub, const char *cursor, const struct buf *state);
/* subscriber_open_at - as subscriber_open(), from an earlier place in the log, where n_events are
 * ahead of it. */
void subscriber_open_at(struct subscriber *sub, uint64_t at, unsigned n_events, const char *cursor);
void subscriber_begin_replay(struct subscriber *sub); /* it is sent what came before */
void subscriber_begin_times(struct subscriber *sub);  /* its head may go, and its life begins */
void subscriber_has_more(struct subscriber *sub);     /* its own bytes are to be sent */
/*
 * subscriber_go_on - its own bytes hold all that came before a place in the log, where a cursor
 * stands that is its own from now on. n_seen: the outlet's events up to there; n_events: how many
 * of them it was sent.
 */
void subscriber_go_on(struct subscriber *sub, uint64_t place, uint32_t n_seen, uint32_t n_events);
void subscriber_release(struct subscriber *sub); /* send the head now, confirmed or not */

/* subscriber_give - a frame of n_events that is its alone. Returns 0, -EMSGSIZE, -ENOMEM. */
int subscriber_give(struct subscriber *sub, const char *frame, size_t len, unsigned n_events);
int subscriber_put_heartbeat(struct subscriber *sub, const char *frame, size_t len);
/* subscriber_own_all - all that waits for it in the log becomes its own. Returns 0, -ENOMEM:
 * nothing has changed. */
int subscriber_own_all(struct subscriber *sub);

/* subscriber_overflow - for its outlet: it is among the blocked, and more waits than the queue:
 * what overflow says. It is not among them any more. */
void subscriber_overflow(struct subscriber *sub);
/* subscriber_shed - its client does not read, and memory is short: what waits for it goes. */
void subscriber_shed(struct subscriber *sub);
void subscriber_flushed(struct subscriber *sub, enum send_result result); /* for the turn */

#endif
