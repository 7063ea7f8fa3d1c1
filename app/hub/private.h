#ifndef SLUICE_HUB_PRIVATE_H
#define SLUICE_HUB_PRIVATE_H

/*
 * What hub.c, feed.c and subscriber.c know of each other, and nobody else.
 *
 * Nothing is freed while messages are delivered or subscribers are written:
 * subscribers end by a state, feeds without a subscriber linger or are swept at
 * the turn's end. So every walk in this folder may call anything.
 */
#include "base/buf.h"
#include "base/closing.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/count.h"
#include "hub/cursor.h"
#include "hub/feed.h"
#include "hub/fifo.h"
#include "hub/hub.h"
#include "hub/keyspace.h"
#include "hub/log.h"
#include "hub/pace.h"
#include "hub/queue.h"
#include "hub/render.h"
#include "hub/subjects.h"
#include "hub/subscriber.h"
#include "hub/wait.h"
#include "logic/rendering.h"
#include "redis/past.h"
#include "redis/reader.h"

/* How long a feed waits for the next subscriber, and an ended one for its client to read the end.
 */
enum { FEED_LINGER_MS = 5000, END_LINGER_MS = 10000 };

/* A subject's name is at most this long; Redis would take 512 MB. */
enum { SUBJECT_NAME_MAX = 1024, STREAM_KEY_MAX = 2 * SUBJECT_NAME_MAX };

/* One feed's registration for one subject. */
struct feed_source {
	struct subscription sn;
	struct feed_source *next; /* of the same feed, in the order of subscribing */
	struct feed *feed;
};

struct feed {
	struct feed_class *class;
	struct map_node by_key;
	struct list of_class; /* class->feeds */
	struct outlet out;
	struct feed_source *sources;
	void *data;               /* the handler's */
	struct feed_more *more;   /* NULL: as for most */
	struct fifo_node beat;    /* class->beats */
	struct fifo_node linger;  /* without a subscriber: hub->lingering, at last hub->dead */
	struct fifo_node silence; /* class->silences: since the last message */
	unsigned n_unconfirmed;
	bool was_confirmed; /* what happened since may have been missed */
	bool is_tended;     /* the class's own, without subscribers: for the handler's tend() */
	bool is_dead;       /* to be freed at the turn's end */
	struct template_value
	    params[]; /* ends with a NULL name; their values, the key, stand behind */
};

/* How a recorded channel stands. */
enum recorded_state {
	RECORDED_UNSURE,  /* Redis has not confirmed it */
	RECORDED_READING, /* its log: messages are not taken, for they stand in it */
	RECORDED_DIRTY,   /* and some came meanwhile: it is looked at again */
	RECORDED_SURE,
	RECORDED_FAILED, /* its log is looked at again, soon */
};

struct recorded {
	struct past_reading reading;
	struct feed *feed;
	enum recorded_state state;
	bool is_known;              /* place holds */
	bool is_refused;            /* its log, by Redis */
	bool is_awaited;            /* by the feed, to be confirmed */
	struct stream_place place;  /* all up to here was handed on, or came before */
	struct stream_id to;        /* it is read up to here */
	struct stream_id read_from; /* where the newest reading began */
	size_t entry_size;          /* bytes, as far as is known */
};

/* What a feed needs only for a script, a rate, a batch, or a handler that asks for it. */
struct feed_more {
	struct feed *feed;
	int callback;       /* of the route's script */
	unsigned n_streams; /* of cursor */
	struct pace pace;
	uv_timer_t timer; /* the handler's */
	uv_timer_t after; /* the script's */
	struct list asks;
	struct buf last; /* the newest event's frame */
	bool keeps_last, only_changes;
	bool has_timers; /* they were needed */
	/* Of its streams, or of the logs of its recorded channels, in the order of subscribing. */
	struct stream_id cursor[STREAM_CURSOR_MAX];
	struct stream_id settled[STREAM_CURSOR_MAX]; /* while events are held: what came later waits
							with them */
	struct recorded recorded[STREAM_CURSOR_MAX];
	uv_timer_t again;            /* to read them again */
	struct closing closing;      /* of the three timers */
	char whose[DIGEST_TEXT + 1]; /* of cursor.c */
	uint64_t recent_from;        /* from here on the log is held, of recent.c */
	bool has_recent;
	struct list waiters;        /* of wait.h */
	struct queue *queue;        /* NULL: it is none */
	feed_flushed_fn on_flushed; /* NULL: nobody asks */
	struct list replays;        /* of subscribers that are sent what came before them */
	bool is_reply_refused;      /* the newest reply was an error that will not pass by itself */
	/* Replays for which the snapshot was asked, and those that came since: for the next. */
	struct list snapshot_asked, snapshot_wanted;
	struct list operations; /* of keyspace.h, whose values are being read */
	bool has_lost_operations;
};

struct hub {
	uv_loop_t *loop;
	struct outlets outlets;
	struct subjects *subjects;
	struct past *past;
	struct command *command; /* NULL: there is none to ask */
	struct keyspace keyspace;
	struct subscription noticed;
	hub_notice_fn notice; /* of it */
	void *notice_arg;
	hub_event_fn on_event; /* NULL: nobody asks */
	struct list classes;
	struct list dead; /* feeds to free at the turn's end */
	struct fifo lingering;
	struct buf frame, type, id, key; /* what is being encoded */
	struct rendering rendering;      /* what a route's logic made of the message */
	uv_timer_t drain;
	uint64_t drain_total, drain_done; /* subscribers to end, and ended */
	bool is_full;                     /* there is no memory for more streams */
	struct closing closing;
};

/* An event was not sent for this error. */
static inline void
feed_count_drop(const struct feed *fd, int rc)
{
	count_drop(fd->class->out.counted, rc);
}

static inline struct feed *
feed_of(const struct outlet *o)
{
	return LIST_ENTRY(o, struct feed, out);
}

/* hub.c */

/* What the feed's route counts. */
static inline void
feed_count(const struct feed *fd, enum counter c, int64_t n)
{
	counters_add_of(fd->class->out.counted, c, n);
}

/* feed.c */
/* feed_subscribe - one more source; the same name twice is one. Returns 0, -EINVAL for a source
 * that cannot stand beside the others, -E2BIG, -ENOMEM. */
int feed_subscribe(struct feed *fd, enum subject_kind kind, const char *name);
void feed_unsubscribe(struct feed *fd); /* from all */
void feed_message(struct feed *fd, struct message *msg);
/* feed_reset - tell those who are there that something may be missing, and why. */
void feed_reset(struct feed *fd, const char *data);
void feed_confirmed(struct feed *fd); /* one subscription fewer to wait for */
void feed_free(struct feed *fd);
void feed_end_all(struct feed *fd, enum end_reason reason);
void feed_beat(struct feed *fd);    /* send a heartbeat */
void feed_linger(struct feed *fd);  /* nobody wants it, for the moment */
void feed_listen(struct feed *fd);  /* somebody is there: silence counts, if it does not yet */
void feed_heard(struct feed *fd);   /* a message: silence counts from now on */
void feed_deaf(struct feed *fd);    /* nothing can come, so silence says nothing */
void feed_abandon(struct feed *fd); /* nothing has come for as long as the route waits */
void feed_bury(struct feed *fd);    /* it has no subscriber: free it at the turn's end */

/* feed_begin_tended - the feed of a class whose handler has something to tend. */
void feed_begin_tended(struct feed_class *fc);

void feed_run_script(struct feed *fd); /* without a message */

/* The callback of a feed that has more; opened anew if that failed, as while scripts pause. */
int feed_callback(struct feed *fd);
/* Behind render() with the feed's own callback: a script whose state is full begins anew, for new
 * subscribers. */
void feed_check_script(struct feed *fd, const struct outcome *out);
/* feed_advance - the feed's cursor: it has come to an entry of its stream or recorded channel. */
void feed_advance(struct feed *fd, unsigned index, const struct stream_id *id);
/*
 * feed_place - up to where a subscriber that takes its place in the log now must be sent what came
 * before it: what is held comes by the log. from: where its client stands; NULL: nowhere.
 */
const struct stream_id *feed_place(struct feed *fd, const struct stream_id *from);
bool feed_holds(const struct feed *fd);   /* by rate or batch */
bool feed_has_use(const struct feed *fd); /* somebody is sent what comes, or will be */
void feed_tell_change(struct feed *fd, enum stream_change change); /* by stream-reset */

/* wait.c */
/* wait_answer - ev NULL: there will be none. is_entry: it stands in a stream or log, at the feed's
 * cursor. */
void wait_answer(struct feed *fd, const struct event *ev, bool is_entry);
void wait_confirmed(struct feed *fd);

/* recorded.c */
void recorded_confirmed(struct feed *fd, struct feed_source *so);
/* id NULL: it is in no log. */
void recorded_message(struct feed *fd, struct feed_source *so, struct message *msg,
		      const struct stream_id *id);
void recorded_forget(struct feed *fd); /* what is asked concerns it no more */

/* replay.c */
/*
 * replay_plan - sub, which joins fd, is to be sent what came before: from is the client's
 * Last-Event-ID, or NULL to begin where the route's section says. Returns 0, also if there is
 * nothing to be sent; -ENOMEM.
 */
int replay_plan(struct feed *fd, struct subscriber *sub, const char *from);
/* Of the n-th stream or recorded channel: its name without the prefix, and its key with it. */
int replay_open_script(struct feed *fd);
const char *replay_stream_name(const struct feed *fd, unsigned index);
void replay_print_key(char key[STREAM_KEY_MAX], const struct feed *fd, unsigned index);
void replay_go_on(struct feed *fd); /* the feed's cursor has moved */

/* recent.c */
void recent_hold(struct feed *fd); /* an event will be appended: hold it for a while */
void recent_forget(struct feed *fd);
/* recent_find - does the log still hold the event with these ids? Then where the next frame begins,
 * and how many events there are from there on. */
bool recent_find(struct feed *fd, const struct stream_id *ids, uint64_t *at, unsigned *n_behind);

/* more.c */
int more_need_timers(struct feed *fd); /* 0, -ENOMEM */
int more_new(struct feed *fd);         /* 0, also if there is one; -ENOMEM */
void more_free(struct feed *fd);
void more_call_after(struct feed *fd, uint64_t ms); /* the script, without a message */
/* more_ask_words - ask what the words of a key say, as feed_ask(). -ENOENT: they say nothing. */
int more_ask_words(struct feed *fd, struct template *const *words, feed_reply_fn fn);
bool more_is_news(const struct feed *fd, const struct buf *frame);
void more_keep(struct feed *fd, const struct buf *frame); /* as the newest, if the feed does */

/* class.c */
void class_feed_freed(struct feed_class *fc);

/* refusal.c */
/* class_retry_ms - in how long to ask again what was refused: all of a worker ask at once, so that
 * who asks for the same shares the answer. */
unsigned class_retry_ms(const struct feed_class *fc);
/* class_tell_refusal - Redis refuses what the route asks of a key, channel or command. */
void class_tell_refusal(struct feed_class *fc, const char *what, const char *why);

#endif
