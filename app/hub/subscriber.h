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
#include "base/map.h"
#include "http/answer.h"
#include "hub/fifo.h"
#include "hub/log.h"

struct outlet;
struct subscriber;

enum subscriber_state {
	SUBSCRIBER_NEW,       /* no request was made of it yet */
	SUBSCRIBER_WAITING,   /* it has joined, and Redis has not confirmed; it sends only bytes of
				 its own */
	SUBSCRIBER_REPLAYING, /* it is sent the past; it sends only bytes of its own */
	SUBSCRIBER_OPEN,      /* reads the log */
	SUBSCRIBER_LAPSED, /* it was too slow and has left the log, until its client reads again */
	SUBSCRIBER_ENDING, /* it reads the log up to end_at, then stream-end is sent */
	SUBSCRIBER_LAST,   /* the bytes of its own are its last */
	SUBSCRIBER_GONE    /* it is in no list and has no outlet */
};

/* Why a stream ended: the "reason" of stream-end; or of stream-done, if it ended for good. */
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
	SEND_ALL,     /* the descriptor took all that waited, or the subscriber is finished */
	SEND_BLOCKED, /* the descriptor takes no more: it will call subscriber_unblocked() */
	SEND_GONE     /* the client is gone; the carrier has called subscriber_close() */
};

struct subscriber_ops {
	/*
	 * Writes what waits. The hub calls it at the end of a turn, and never from within a call of
	 * the carrier's. If subscriber_is_finished() becomes true, the carrier ends the response
	 * and calls subscriber_close(); then it may free the struct before it returns SEND_GONE.
	 */
	enum send_result (*send)(struct subscriber *sub);
	/*
	 * Ends the response now, even if bytes wait: the hub gives up on a client that does not
	 * read.
	 */
	void (*abort)(struct subscriber *sub);
	/*
	 * A subscription of a mux connection: probes the client of that connection. NULL: the
	 * client is its own.
	 */
	void (*probe)(struct subscriber *sub);
};

/*
 * Is told when a stream has gone. The owner embeds it. Few streams are watched, so the outlets know
 * who watches which.
 */
struct subscriber_watch {
	void (*left)(struct subscriber_watch *watch);
	struct map_node by_subscriber; /* the rest is the hub's */
	uintptr_t number;
};

/* Will give a short answer later. The owner embeds it. */
struct subscriber_holder {
	struct subscriber *sub; /* NULL: the client has gone, or has its answer */
	/*
	 * The client has gone without its answer, so what was kept for it must be given back. May
	 * be NULL.
	 */
	void (*left)(struct subscriber_holder *holder);
};

/* The past, which a subscriber is sent before it reads the log. The owner embeds it. */
struct backlog;

struct backlog_ops {
	/* Redis has confirmed. It must call subscriber_begin_replay() or subscriber_open_at(). */
	void (*begin)(struct backlog *backlog);
	void (*taken)(struct backlog *backlog);  /* the client has taken all that it was sent */
	void (*cancel)(struct backlog *backlog); /* it is not wanted any more */
};

struct backlog {
	const struct backlog_ops *ops;
};

struct subscriber {
	const struct subscriber_ops *ops;
	struct outlet *outlet;
	union {
		/* in one of outlet->caught_up and turn->ready, or in neither */
		struct list node;
		/* if is_lagging: in outlet->blocked; key: its cursor, or the end of its frame */
		struct heap_node blocked;
	};
	struct list joined;     /* outlet->joined, in the order of joining */
	struct fifo_node life;  /* in its route's lifetime; while it ends, in the hub's endings */
	struct fifo_node quiet; /* in its route's idle; while it waits, in its route's openings */
	struct log_piece rest; /* the rest of the frame that was on its way when it left the log; it
				  is sent first */
	struct buf own;
	union {
		uint64_t cursor;                  /* offset in the log of the next byte to send */
		struct subscriber_holder *holder; /* if it is no stream: who will answer it later */
		struct backlog *backlog;          /* before it is OPEN; NULL: there is none */
	};
	union {
		struct {                   /* while it is open */
			uint32_t n_before; /* outlet->n_events when it opened */
			uint32_t n_seen;   /* outlet->n_events when it last had read all */
		};
		/*
		 * While it is ENDING: it reads the log up to here. While it is REPLAYING: it will,
		 * if it comes to the log before this place; 0: its outlet has not ended meanwhile.
		 */
		uint64_t end_at;
	};
	unsigned char state;  /* enum subscriber_state */
	unsigned char reason; /* enum end_reason, from ENDING on */
	bool is_held;         /* it is WAITING, and its head must not be sent yet */
	bool is_blocked;      /* the descriptor takes no more */
	bool is_lagging;      /* it is blocked, and bytes of the log wait for it */
	bool is_watched;      /* by a subscriber_watch */
	bool is_told_retry;   /* when to come back */
};

/* subscriber_init - called by the carrier; sub becomes NEW. */
void subscriber_init(struct subscriber *sub, const struct subscriber_ops *ops);

/*
 * short_answer.c: subscriber_answer - makes sub a short answer, which has ended and is copied;
 * without its body if only the head was asked for. The carrier sends it as soon as the call returns
 * that gave it the request (it looks at subscriber_has_bytes()), or on its next send. Returns 0,
 * -ENOMEM, -EMSGSIZE past 1 MiB; sub is LAST in any case.
 */
int subscriber_answer(struct subscriber *sub, const struct answer *a, bool with_body);
/*
 * subscriber_answer_problem - refuses with a status what is not even a request that could be
 * routed.
 */
void subscriber_answer_problem(struct subscriber *sub, int status);

/*
 * subscriber_hold - holder will answer sub later. subscriber_let_go - it answers now: returns sub;
 * NULL: the client has gone.
 */
void subscriber_hold(struct subscriber *sub, struct subscriber_holder *holder);
struct subscriber *subscriber_let_go(struct subscriber_holder *holder);

/*
 * subscriber_bytes.c: subscriber_gather - the bytes that wait, at most max of them, as at most
 * *n_iov pieces. Sets *n_iov to the pieces used. Returns how many bytes. The pieces stay valid
 * until control returns to the loop or subscriber_sent() is called.
 */
size_t subscriber_gather(const struct subscriber *sub, struct iovec *iov, int *n_iov, size_t max);

bool subscriber_has_bytes(const struct subscriber *sub); /* would gather give any? */

/*
 * subscriber_filler - bytes that say nothing at the place of its next byte, and that may be
 * repeated.
 */
const char *subscriber_filler(const struct subscriber *sub);

/*
 * subscriber_end_filler - the filler was sent in part, behind all that was gathered, so what
 * follows must begin on a line of its own. Returns 0, -ENOMEM.
 */
int subscriber_end_filler(struct subscriber *sub);

bool subscriber_is_finished(const struct subscriber *sub); /* LAST, and all is sent */
/* subscriber_is_over_after - is the response over once the next len bytes are sent? */
bool subscriber_is_over_after(const struct subscriber *sub, size_t len);
/* subscriber_n_unsent - how many bytes wait, its own and the log's. */
size_t subscriber_n_unsent(const struct subscriber *sub);

/* subscriber_sent - the first len of the gathered bytes have been sent. */
void subscriber_sent(struct subscriber *sub, size_t len);

/*
 * subscriber_unblocked - the descriptor takes bytes again, so the hub calls send() at the turn's
 * end. A short answer is sent in this call, after which sub may be gone.
 */
void subscriber_unblocked(struct subscriber *sub);

/*
 * subscriber_end - ends the stream: what its outlet was given so far is sent, then stream-end with
 * the reason, then the response ends. Safe in any callback and in any state; only the first call
 * counts.
 */
void subscriber_end(struct subscriber *sub, enum end_reason reason);

/*
 * subscriber_probe - finds out if its client is still there. Bytes that say nothing are written to
 * it, unless others wait anyway; the carrier notices if the client is gone.
 */
void subscriber_probe(struct subscriber *sub);

/*
 * watch.c: subscriber_watch - watches sub, which is a stream, until it has gone: then left() is
 * called, and watch may be freed. subscriber_unwatch ends that. Returns 0, -ENOMEM.
 */
int subscriber_watch(struct subscriber *sub, struct subscriber_watch *watch);
void subscriber_unwatch(struct subscriber *sub, struct subscriber_watch *watch);

/*
 * subscriber_close - the client is gone, or all is sent: sub leaves the outlet, and what it holds
 * is freed.
 */
void subscriber_close(struct subscriber *sub);

/*
 * subscriber_is_stream - has it joined an outlet? Otherwise it is a short answer, or nothing yet.
 */
static inline bool
subscriber_is_stream(const struct subscriber *sub)
{
	return sub->outlet != NULL;
}

/* subscriber_reads_log - does it read the log from its cursor on? */
static inline bool
subscriber_reads_log(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_OPEN || sub->state == SUBSCRIBER_ENDING;
}

/*
 * subscriber_is_open - is it sent what comes? One that is too slow counts as well: it will go on
 * later.
 */
static inline bool
subscriber_is_open(const struct subscriber *sub)
{
	return sub->state == SUBSCRIBER_OPEN || sub->state == SUBSCRIBER_LAPSED;
}

/* For its outlet, and for the outlet's owner */

/*
 * subscriber_end_with_all - its outlet has ended for those who were there: it is sent what stands
 * in the log now, and ends. One that waits for Redis was not there.
 */
void subscriber_end_with_all(struct subscriber *sub, enum end_reason reason);

/*
 * subscriber_join - sub, which is NEW, becomes WAITING. Its head, which is copied, is held back
 * until sub is opened or released. Its backlog is set, or NULL. Returns 0, -ENOMEM: then nothing
 * has changed.
 */
int subscriber_join(struct subscriber *sub, struct outlet *o, const char *head, size_t head_len);

/*
 * subscriber_open - Redis has confirmed: tells the client, and lets sub read the log from its end.
 * cursor: where its client stands, for its next Last-Event-ID; NULL: nowhere. state: the frame with
 * the newest event, or nothing.
 */
void subscriber_open(struct subscriber *sub, const char *cursor, const struct buf *state);
/*
 * subscriber_open_at - as subscriber_open(), from an earlier place in the log, behind which
 * n_events stand.
 */
void subscriber_open_at(struct subscriber *sub, uint64_t at, unsigned n_events, const char *cursor);
void subscriber_begin_replay(struct subscriber *sub); /* it is sent the past */
/*
 * subscriber_take_place - its backlog has entered the log at its end, for subscriber_go_on(): what
 * ended before does not concern it.
 */
void subscriber_take_place(struct subscriber *sub);
void
subscriber_begin_times(struct subscriber *sub); /* its head may be sent, and its lifetime begins */
void subscriber_has_more(struct subscriber *sub); /* there are new bytes of its own to send */
/*
 * subscriber_go_on - its own bytes hold everything before this place in the log, and it reads the
 * log from there on; the caller's cursor at this place becomes its own. n_seen: the outlet's events
 * up to there; n_events: how many of them it was sent.
 */
void subscriber_go_on(struct subscriber *sub, uint64_t place, uint32_t n_seen, uint32_t n_events);
void subscriber_release(
    struct subscriber *sub); /* sends the head now, whether Redis has confirmed or not */

/*
 * subscriber_give - a frame of n_events for this subscriber alone. Returns 0, -EMSGSIZE, -ENOMEM.
 */
int subscriber_give(struct subscriber *sub, const char *frame, size_t len, unsigned n_events);
int subscriber_put_heartbeat(struct subscriber *sub, const char *frame, size_t len);
/*
 * subscriber_own_all - what waits for it in the log becomes its own. Returns 0, -ENOMEM: then
 * nothing has changed.
 */
int subscriber_own_all(struct subscriber *sub);

/*
 * subscriber_overflow - for its outlet: it is blocked and more waits than the queue allows, so
 * overflow decides what happens. It is not among the blocked any more.
 */
void subscriber_overflow(struct subscriber *sub);
/* subscriber_shed - its client does not read, and memory is short: what waits for it is freed. */
void subscriber_shed(struct subscriber *sub);
void subscriber_flushed(struct subscriber *sub, enum send_result result); /* for the turn */

#endif
