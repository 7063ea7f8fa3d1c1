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
	REPLAY_RECALLING, /* was the client's last event the one that ends it? */
	REPLAY_ASKING,    /* the snapshot, which names where the stream begins */
	REPLAY_LOOKING,   /* what became of the streams since the client's id? */
	REPLAY_LAGGING,   /* the client is ahead of the feed, which will get there */
	REPLAY_COUNTING,  /* where do the newest entries begin that it may have? */
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
	bool has_reached;      /* all up to there was read */
	bool is_entry;         /* from is an entry that Redis gave us */
	uint64_t length;       /* of the stream */
	size_t entry_size;     /* bytes, as far as is known */
	unsigned n_counted;
	struct stream_id counted; /* the oldest of them */
	struct replayed *v;       /* read, and not sent yet: from at on */
	size_t n_v, at;
};

struct replay {
	struct backlog backlog; /* its subscriber's */
	struct list of_feed;
	struct list of_snapshot; /* live->snapshot_asked or _wanted; or none */
	struct feed *feed;
	struct subscriber *sub;
	enum replay_state state;
	bool is_resumed;     /* the client says where it stood */
	bool is_from;        /* the snapshot says it in its place */
	bool is_past_wanted; /* by one that does not say it: "start" */
	const char *unknown; /* why what the client says is no place of ours; NULL: it is one */
	bool is_trimmed;     /* and it is to be told so */
	bool has_begun;      /* the client was told where it stands */
	bool has_place;
	bool has_failed, is_refused; /* some answer of this time */
	bool has_snapshot, is_snapshot_refused, is_snapshot_missing;
	bool ends;              /* for good: with the snapshot, or with what the client had last */
	uint64_t place;         /* in the feed's log */
	uint32_t n_feed_events; /* of the feed, when the place was taken, or given up */
	uint64_t n_events;      /* sent */
	unsigned n_pending;     /* answers */
	/* All that was asked is answered; and the time has come to ask once more. */
	void (*on_answered)(struct replay *rp);
	uv_timer_cb on_again;
	int callback; /* of the route's script: one that sees the past alone */
	struct batch batch;
	char *snapshot; /* owned; NULL: there is no such key */
	size_t snapshot_len;
	uv_timer_t again;
	unsigned n;
	struct replay_part parts[];
};

/* replay_entries.c */
void replay_forget_entries(struct replay_part *part);
/* replay_keep_page - those that the client has not had, oldest first. */
void replay_keep_page(struct replay_part *part, const redisReply *reply, enum past_order order);
/*
 * replay_next_part - whose entry is next: they come out in the order of their ids, those of equal
 * id in that of the streams. NULL: some stream must be read first, or there is no more.
 */
struct replay_part *replay_next_part(struct replay *rp);

/* replay_place.c */
/* replay_parse_client - NULL: the id is one of ours; else the reason of the reset. */
const char *replay_parse_client(struct replay *rp, const char *text);
const char *replay_whose(const struct replay *rp); /* are the ids */
void replay_make_cursor(struct stream_id cursor[STREAM_CURSOR_MAX], const struct replay *rp);
size_t replay_print_cursor(char text[CURSOR_TEXT], const struct replay *rp);
void replay_print_beginning(char text[CURSOR_TEXT], const struct replay *rp);
/* replay_take_place - in the log, and with it the feed's cursor, up to which the streams are read.
 */
void replay_take_place(struct replay *rp);
void replay_leave_place(struct replay *rp);
void replay_take_later_place(struct replay *rp);
void replay_set_round(struct replay *rp);
void replay_set_first_round(struct replay *rp);
bool replay_is_ahead(const struct replay *rp); /* the client, of the feed */

static inline bool
replay_is_known(const struct replay *rp)
{
	return rp->is_resumed && rp->unknown == NULL;
}

static inline const struct source *
replay_source_of(const struct replay_part *part)
{
	return feed_source_at(part->rp->feed, (unsigned)(part - part->rp->parts));
}

/* replay_put.c: each returns 0, -EMSGSIZE, -ENOMEM */
int replay_put_reset(struct replay *rp, const char *data);
int replay_put_beginning(struct replay *rp);
/* replay_put_entries - as many as there is room for. Sets *ends: the end has come, for good. */
int replay_put_entries(struct replay *rp, bool *ends);
int replay_put_rest(struct replay *rp); /* of a batch, once there is no more of the past */
/* replay_ends_with - does the route end with the one entry that was read? It is sent to nobody. */
bool replay_ends_with(struct replay_part *part);
bool replay_has_had_all(const struct replay *rp); /* that the route gives one */

/*
 * replay_ask.c. Each function that asks says replay_expect() first and replay_waits() last. One
 * pending answer of our own keeps what fails at once from ending it in the middle.
 */
void replay_expect(struct replay *rp);
bool replay_waits(struct replay *rp); /* is anything to be waited for? */
void replay_answered(struct replay *rp);
void replay_ask_said(struct replay *rp);   /* the entries that the client had last */
void replay_ask_info(struct replay *rp);   /* what became of the streams? */
void replay_ask_counts(struct replay *rp); /* where do the newest begin that it may have? */
bool replay_ask_pages(struct replay *rp);  /* is anything to be waited for? */

/* replay_snapshot.c */
void replay_want_snapshot(struct replay *rp); /* if it is still to be asked for */
void replay_begin_where_it_says(struct replay *rp);

#endif
