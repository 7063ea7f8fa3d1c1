#ifndef SLUICE_HUB_SOURCE_H
#define SLUICE_HUB_SOURCE_H

/*
 * source - what a feed follows, and what becomes of its subscribers by it.
 *
 * A kind of source is one constant table in one file of source/, and a kind of feed another, in
 * source/kinds.c: the hub calls the tables and knows none by name.
 */
#include "hub/feed_state.h"
#include "hub/render.h"
#include "redis/reader.h"

struct source;

/* What a feed does with one thing that it follows. What may be NULL says so. */
struct source_kind {
	const char *name;
	size_t size;       /* of its struct, whose first member is a struct source; 0: of that */
	bool is_resumable; /* what came can be read again: it has a place in the feed's cursor */
	const char
	    *suffix; /* of the key where that stands, behind the subject's name; "" or NULL */

	/* It is followed. If Redis has confirmed that before, nobody will tell. NULL: no matter. */
	void (*begin)(struct source *so);
	/* Redis has confirmed: say source_ready(), now or later. NULL: at once. */
	void (*confirmed)(struct source *so);
	/* A message, which is borrowed. id: of a stream's entry, or of a message that is recorded
	 * beside its channel; NULL: it has none. */
	void (*message)(struct source *so, struct message *msg, const struct stream_id *id);
	void (*lost)(struct source *so); /* the link; confirmed() comes again. NULL: no matter */
	void (*changed)(struct source *so, enum stream_change change); /* of a stream */
	void (*end)(struct source *so); /* frees it, at once or later. NULL: it is freed */
};

/* One thing that a feed follows. */
struct source {
	struct subscription sn;
	const struct source_kind *kind;
	struct source *next; /* of the same feed, in the order of subscribing */
	struct feed *feed;
	unsigned index;  /* of a resumable one: in the feed's cursor */
	bool is_awaited; /* by the feed, to be confirmed */
};

/* What a feed does with its subscribers. All functions may be NULL. */
struct feed_kind {
	const char *name;
	bool is_gapless;    /* what a lost link cost is made up for: nobody need be told */
	bool may_be_silent; /* that nothing comes says nothing */
	const struct source_kind *follows[N_SUBJECT_KINDS]; /* NULL: nothing of that kind */

	int (*begin)(
	    struct feed *fd);         /* its handler has opened it: 0, -ENOMEM, or an HTTP status */
	void (*end)(struct feed *fd); /* it has no subscriber and no source any more */
	/* A subscriber will join, whose client has seen last_event_id, or NULL: set its backlog.
	 * Returns 0, -ENOMEM. */
	int (*join)(struct feed *fd, struct subscriber *sub, const char *last_event_id);
	void (*opened)(struct feed *fd,
		       struct subscriber *sub); /* it reads the log, from its end */
	void (*left)(struct feed *fd, struct subscriber *sub);
	void (*hold)(struct feed *fd);    /* an event comes to the log: hold it for a while */
	void (*release)(struct feed *fd); /* the log need not be held any more */
};

/* Sources */

void source_ready(struct source *so);             /* what the feed waited for is there */
void source_await(struct source *so);             /* the feed waits, until source_ready() */
const char *source_name(const struct source *so); /* without the prefix */
/* source_print_key - the key that Redis knows, of what can be read again. */
void source_print_key(char key[STREAM_KEY_MAX], const struct source *so);
/* source_take_position - the feed's cursor is where the stream is followed from. */
void source_take_position(struct source *so);
/* source_advance - the feed's cursor: it has come to an entry of this one. */
void source_advance(struct source *so, const struct stream_id *id);
struct source *feed_source_at(const struct feed *fd, unsigned index); /* in the cursor */

/* feed_follow - one more source; the same name twice is one. Returns 0, -EINVAL for a source
 * that cannot stand beside the others, -E2BIG, -ENOMEM. */
int feed_follow(struct feed *fd, enum subject_kind kind, const char *name);
/* feed_subject - the same as a handler does it, whose name came from a request. Returns 0, or the
 * HTTP status with which the request ends. */
int feed_subject(struct feed *fd, enum subject_kind kind, const char *name);
void feed_unfollow(struct feed *fd); /* all */

/* What a source calls of its feed */

void feed_message(struct feed *fd, struct message *msg);
void feed_await(struct feed *fd);         /* one thing more to wait for */
void feed_confirmed(struct feed *fd);     /* one fewer */
bool feed_has_use(const struct feed *fd); /* somebody is sent what comes, or will be */
/* feed_reset - tell those who are there that something may be missing, and why. */
void feed_reset(struct feed *fd, const char *data);
/* The callback of the route's script; opened anew if that failed, as while scripts pause. */
int feed_callback(struct feed *fd);
/* Behind render() with the feed's own callback: a script whose state is full begins anew, for new
 * subscribers. */
void feed_check_script(struct feed *fd, const struct outcome *out);

/*
 * feed_place - up to where a subscriber that takes its place in the log now must be sent what came
 * before it: what is held comes by the log. from: where its client stands; NULL: nowhere.
 */
const struct stream_id *feed_place(struct feed *fd, const struct stream_id *from);
const struct cursor *feed_cursor(const struct feed *fd); /* one of nothing, if it has none */

/* Who takes a feed's next events beside its subscribers; a part of whatever it is. */
struct listener {
	struct list of_feed;
	struct feed *feed; /* NULL: it listens no more */
	const struct listener_ops *ops;
};

struct listener_ops {
	/* ev NULL: there will be none. is_entry: it can be read again, and stands at the feed's
	 * cursor. */
	void (*event)(struct listener *l, const struct event *ev, bool is_entry);
	void (*confirmed)(struct listener *l); /* what comes from now on arrives */
};

void feed_add_listener(struct feed *fd, struct listener *l);
void feed_remove_listener(struct listener *l); /* the feed lingers if it was the last */

/* What a kind of source keeps for the whole worker; it goes with the hub. A part of that. */
struct hub_part {
	struct list of_hub;
	const struct hub_part_ops *ops;
};

struct hub_part_ops {
	void (*close)(struct hub_part *part, struct closing *closing); /* no feed is left */
	void (*free)(struct hub_part *part);                           /* all is closed */
};

/* hub_find_part - the one with these ops; NULL: there is none yet. */
struct hub_part *hub_find_part(const struct hub *hub, const struct hub_part_ops *ops);
void hub_add_part(struct hub *hub, struct hub_part *part);

#endif
