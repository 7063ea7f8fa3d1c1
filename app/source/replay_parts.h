#ifndef SLUICE_SOURCE_REPLAY_PARTS_H
#define SLUICE_SOURCE_REPLAY_PARTS_H

/*
 * replay_parts - what the files of a replay know of it, each only of those before it:
 * replay_entries (what was read, in order), replay_place (where the client stands, and where a
 * round ends), replay_put (what the subscriber is sent), replay_ask (what Redis is asked),
 * replay_snapshot, replay (rounds and states).
 */
#include <hiredis/hiredis.h>

#include "hub/source.h"
#include "logic/batch.h"
#include "redis/past.h"

#define REPLAY_UNKNOWN_ID "{\"reason\":\"unknown-id\"}"

enum replay_state {
	REPLAY_PLANNED,   /* the feed is not confirmed yet */
	REPLAY_RECALLING, /* asks if the client's last event was the one that ended the stream */
	REPLAY_ASKING,    /* asks for the snapshot, which says where the stream begins */
	REPLAY_LOOKING,   /* asks what became of the streams since the client's id */
	REPLAY_LAGGING,   /* the client is ahead of the feed, which will catch up */
	REPLAY_COUNTING,  /* asks where the newest entries begin that the client may have */
	REPLAY_READING,   /* page by page */
};

struct replayed {
	struct stream_id id;
	char *data, *event; /* owned; event may be NULL */
	size_t data_len;
};

/* One stream of a replay. */
struct replay_part {
	struct past_reading reading;
	struct replay *rp;
	struct stream_id said; /* by the client */
	struct stream_id from; /* where the client stands */
	struct stream_id to;   /* where this round ends */
	bool has_reached;      /* everything up to there was read */
	bool is_entry;         /* from is an entry that Redis gave us */
	uint64_t length;       /* of the stream */
	size_t entry_size;     /* of one entry in bytes, as far as is known */
	unsigned n_counted;
	struct stream_id counted; /* the oldest of them */
	struct replayed *v;       /* entries that were read; those from at on are not sent yet */
	/* the entry that was read and kept back: the next page begins with it */
	struct stream_id next;
	bool has_next;
	size_t n_v, at;
};

/* Who says where the past begins. */
enum replay_from {
	REPLAY_FROM_NOW,      /* nobody: the client is sent nothing of it */
	REPLAY_FROM_CLIENT,   /* by its Last-Event-ID */
	REPLAY_FROM_SNAPSHOT, /* which says it in the client's place */
	REPLAY_FROM_START     /* the route's "start" */
};

enum snapshot_state {
	SNAPSHOT_UNREAD,
	SNAPSHOT_READ,
	SNAPSHOT_MISSING, /* the key does not exist */
	SNAPSHOT_REFUSED  /* Redis will not give it, so the stream goes on without */
};

struct replay {
	struct backlog backlog; /* its subscriber's */
	struct list of_feed;
	struct list of_snapshot; /* in live->snapshot_asked or _wanted; or in neither */
	struct feed *feed;
	struct subscriber *sub;
	enum replay_state state;
	enum replay_from begins; /* where the past begins */
	const char *unknown;     /* why the client's id is none of ours; NULL: it is one */
	const char *overruled;   /* that, if the snapshot says in its place where it stands */
	bool is_trimmed;         /* and it is to be told so */
	bool has_begun;          /* the client has been told where it stands */
	bool has_place;
	bool has_failed, is_refused; /* one of the current answers */
	enum snapshot_state snapshot_state;
	bool ends; /* the stream ends for good: with the snapshot, or with what the client had last
		    */
	uint64_t place; /* in the feed's log */
	/* the feed's number of events when the place was taken, or given up */
	uint32_t n_feed_events;
	uint64_t n_events;  /* sent */
	unsigned n_pending; /* answers */
	/*
	 * Called when everything that was asked has been answered; and when it is time to ask
	 * again.
	 */
	void (*on_answered)(struct replay *rp);
	uv_timer_cb on_again;
	int callback; /* of the route's script, opened for this replay alone */
	struct batch batch;
	char *snapshot; /* owned; NULL: the key does not exist */
	size_t snapshot_len;
	uv_timer_t again;
	unsigned n;
	struct replay_part parts[];
};

/* replay_entries.c */
void replay_forget_entries(struct replay_part *part);
/* replay_keep_page - copies the entries that the client has not had, the oldest first. */
void replay_keep_page(struct replay_part *part, const redisReply *reply, enum past_order order);
/* replay_keep_back - the last entry of the page, which the next one begins with. Returns false if
 * it is the only one, which is sent. */
bool replay_keep_back(struct replay_part *part);
/*
 * replay_next_part - the stream whose entry comes next: by their ids, and if those are equal, in
 * the order of the streams. NULL: a stream must be read first, or there is nothing left.
 */
struct replay_part *replay_next_part(struct replay *rp);

/* replay_place.c */
/* replay_parse_client - NULL: the id is one of ours; else the reason for the reset. */
const char *replay_parse_client(struct replay *rp, const char *text);
const char *replay_whose(const struct replay *rp); /* are the ids */
void replay_make_cursor(struct stream_id cursor[STREAM_CURSOR_MAX], const struct replay *rp);
size_t replay_print_cursor(char text[CURSOR_TEXT], const struct replay *rp);
void replay_print_beginning(char text[CURSOR_TEXT], const struct replay *rp);
/*
 * replay_take_place - takes a place in the log. That fixes the feed's cursor, up to which the
 * streams are read.
 */
void replay_take_place(struct replay *rp);
void replay_leave_place(struct replay *rp);
void replay_take_later_place(struct replay *rp);
void replay_set_round(struct replay *rp);
void replay_set_first_round(struct replay *rp);
bool replay_is_ahead(const struct replay *rp); /* the client, of the feed */

/* Does an id, of the client or in its place, say where the past begins? */
static inline bool
replay_is_resumed(const struct replay *rp)
{
	return rp->begins == REPLAY_FROM_CLIENT || rp->begins == REPLAY_FROM_SNAPSHOT;
}

static inline bool
replay_is_known(const struct replay *rp)
{
	return replay_is_resumed(rp) && rp->unknown == NULL;
}

/* Is the client to be sent anything of the past? */
static inline bool
replay_has_past(const struct replay *rp)
{
	return replay_is_known(rp) || rp->begins == REPLAY_FROM_START;
}

static inline const struct source *
replay_source_of(const struct replay_part *part)
{
	return feed_source_at(part->rp->feed, (unsigned)(part - part->rp->parts));
}

/* replay_put.c: each returns 0, -EMSGSIZE, -ENOMEM */
int replay_put_reset(struct replay *rp, const char *data);
int replay_put_beginning(struct replay *rp);
/*
 * replay_put_entries - puts as many entries as there is room for. Sets *ends if the stream ends for
 * good.
 */
int replay_put_entries(struct replay *rp, bool *ends);
int replay_put_rest(
    struct replay *rp); /* the rest of a batch, when there is nothing left of the past */
/* replay_ends_with - does the route end with the one entry that was read? It is not sent. */
bool replay_ends_with(struct replay_part *part);
bool replay_has_had_all(const struct replay *rp); /* all that the route gives to one client */

/*
 * replay_ask.c. Each function that asks calls replay_expect() first and replay_waits() last.
 * Meanwhile one extra answer is expected, so that a question which fails at once does not end the
 * replay in the middle.
 */
void replay_expect(struct replay *rp);
bool replay_waits(struct replay *rp); /* is any answer expected? */
void replay_answered(struct replay *rp);
void replay_ask_said(struct replay *rp); /* the last entries that the client had */
void replay_ask_info(struct replay *rp); /* what became of the streams? */
void
replay_ask_counts(struct replay *rp); /* where the newest entries begin that the client may have */
bool replay_ask_pages(struct replay *rp); /* is any answer expected? */

/* replay_snapshot.c */
void replay_want_snapshot(struct replay *rp); /* asks for it, if that was not done yet */
void replay_begin_where_it_says(struct replay *rp);

#endif
