#ifndef SLUICE_HUB_SOURCE_H
#define SLUICE_HUB_SOURCE_H

/*
 * source - what a feed follows, and what that means for its subscribers. A kind of source is one
 * constant table in a file of source/; a kind of feed is a table in source/kinds.c. The hub calls
 * the tables and knows no kind by name.
 */
#include "hub/feed_state.h"
#include "hub/render.h"
#include "redis/reader.h"

struct source;

/* What a feed does with one thing that it follows. A function may be NULL only where it says so. */
struct source_kind {
	const char *name;
	size_t size; /* of its struct, whose first member is a struct source; 0: it has no struct of
			its own */
	bool is_resumable; /* what came can be read again, so it has a place in the feed's cursor */
	/* what stands behind the subject's name in the key of its log; "" or NULL */
	const char *suffix;

	/*
	 * It is followed now. If Redis had confirmed it before, confirmed() will not be called.
	 * NULL: there is nothing to do.
	 */
	void (*begin)(struct source *so);
	/*
	 * Redis has confirmed. It must call source_ready(), now or later. NULL: that is called at
	 * once.
	 */
	void (*confirmed)(struct source *so);
	/*
	 * A message, which is borrowed. id: of a stream's entry, or of a recorded channel's
	 * message; NULL: it has none.
	 */
	void (*message)(struct source *so, struct message *msg, const struct stream_id *id);
	void (*lost)(struct source *so); /* the link broke; confirmed() comes again. NULL: there is
					    nothing to do */
	void (*changed)(struct source *so, enum stream_change change); /* of a stream */
	void (*end)(struct source *so); /* frees it, at once or later. NULL: it is freed */
};

/* One thing that a feed follows. */
struct source {
	struct subscription sn; /* its index: in the feed's cursor, if it is resumable */
	struct source *next;    /* the feed's next source, in the order of subscribing */
	struct feed *feed;
};

/* What a kind of feed does with its subscribers. All functions may be NULL. */
struct feed_kind {
	const char *name;
	bool is_gapless; /* it makes up for what a broken link has missed, so nobody need be told */
	bool may_be_silent; /* that no message comes means nothing */
	/* NULL: it follows nothing of that kind */
	const struct source_kind *follows[N_SUBJECT_KINDS];

	int (*begin)(
	    struct feed *fd); /* its handler has opened it. Returns 0, -ENOMEM, or an HTTP status */
	void (*end)(struct feed *fd); /* it has no subscriber and no source any more */
	/*
	 * A subscriber will join, whose client has seen last_event_id, or NULL. Sets its backlog.
	 * Returns 0, -ENOMEM.
	 */
	int (*join)(struct feed *fd, struct subscriber *sub, const char *last_event_id);
	void (*opened)(struct feed *fd,
		       struct subscriber *sub); /* it begins to read the log, at the end */
	void (*left)(struct feed *fd, struct subscriber *sub);
	void (*flushed)(struct feed *fd, struct subscriber *sub); /* it was written all it had */
	void (*hold)(
	    struct feed *fd); /* an event comes to the log, which must be kept for a while */
	void (*release)(struct feed *fd); /* the log need not be held any more */
};

/* Sources */

static inline const struct source_kind *
source_kind(const struct source *so)
{
	return so->feed->class->kind->follows[so->sn.kind];
}

void source_ready(struct source *so);             /* what the feed waited for is there */
void source_await(struct source *so);             /* the feed waits, until source_ready() */
const char *source_name(const struct source *so); /* without the prefix */
/* source_print_key - writes the key in Redis of what can be read again. */
void source_print_key(char key[STREAM_KEY_MAX], const struct source *so);
/* source_take_position - sets the feed's cursor to where the stream is followed from. */
void source_take_position(struct source *so);
/* source_advance - the source has come to this entry: moves the feed's cursor. */
void source_advance(struct source *so, const struct stream_id *id);
struct source *feed_source_at(const struct feed *fd, unsigned index); /* in the cursor */

/*
 * feed_follow - adds a source; the same name twice is one. Returns 0, -EINVAL for a source that
 * cannot stand beside the others, -E2BIG, -ENOMEM.
 */
int feed_follow(struct feed *fd, enum subject_kind kind, const char *name);
/*
 * feed_subject_of - as feed_follow(); the name is what t makes of the values of the feed's key.
 * Returns 0, or the HTTP status with which the request ends.
 */
int feed_subject_of(struct feed *fd, enum subject_kind kind, const struct template *t);
void feed_unfollow(struct feed *fd); /* all */

/* What a source calls of its feed: feed.c */

void feed_message(struct feed *fd, struct message *msg);
void feed_await(struct feed *fd);         /* the feed waits for one thing more */
void feed_confirmed(struct feed *fd);     /* one fewer */
bool feed_has_use(const struct feed *fd); /* is anybody sent what comes, now or later? */
/* feed_reset - tells those who are there that something may be missing, and why. */
void feed_reset(struct feed *fd, const char *data);
/*
 * The state of the route's script for this feed. It is opened anew if that failed before, as it
 * does while scripts pause.
 */
int feed_callback(struct feed *fd);
/*
 * Called after render() with the feed's own state of the script: if its memory is full, it begins
 * anew for new subscribers.
 */
void feed_check_script(struct feed *fd, const struct outcome *out);

/*
 * feed_place - the cursor up to which a subscriber that enters the log now must be sent the past;
 * events that are held back come by the log. from: where its client stands; NULL: nowhere.
 */
const struct stream_id *feed_place(struct feed *fd, const struct stream_id *from);
const struct cursor *feed_cursor(const struct feed *fd); /* an empty one, if the feed has none */

/*
 * feed_life.c: takes a feed's next events beside its subscribers. Its owner embeds it.
 */
struct feed_listener {
	struct feed_listener *next, **prev; /* of the feed's; prev: what points here */
	struct feed *feed;                  /* NULL: it does not listen any more */
	const struct feed_listener_ops *ops;
};

struct feed_listener_ops {
	/*
	 * ev NULL: there will be no more. is_entry: the event can be read again, and stands at the
	 * feed's cursor.
	 */
	void (*event)(struct feed_listener *l, const struct event *ev, bool is_entry);
	void (*confirmed)(struct feed_listener *l); /* from now on nothing that comes is missed */
};

void feed_add_listener(struct feed *fd, struct feed_listener *l);
void feed_remove_listener(struct feed_listener *l); /* if it was the last one, the feed lingers */

/*
 * What a kind of source keeps for the whole worker. The kind embeds it; it is freed with the hub.
 */
struct hub_part {
	struct list of_hub;
	const struct hub_part_ops *ops;
};

struct hub_part_ops {
	void (*close)(struct hub_part *part, struct closing *closing); /* no feed is left */
	void (*free)(struct hub_part *part);                           /* all is closed */
};

/* hub_find_part - finds the part with these ops; NULL: there is none yet. */
struct hub_part *hub_find_part(const struct hub *hub, const struct hub_part_ops *ops);
void hub_add_part(struct hub *hub, struct hub_part *part);

#endif
