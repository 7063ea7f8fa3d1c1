#ifndef SLUICE_HUB_SUBJECTS_H
#define SLUICE_HUB_SUBJECTS_H

/*
 * subjects - what is followed in Redis, once, however many want it: channels, patterns, streams,
 * and what becomes of keys.
 *
 * It knows no feed: each subscription has an owner, who is called. Names are without the prefix,
 * which is put before them here.
 */
#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "logic/message.h"
#include "redis/pubsub.h"
#include "redis/reader.h"
#include "redis/stream_id.h"

struct command;
struct subject;
struct subjects;
struct subscription;
struct topology;
struct turn;

/* What an owner is told. None may be NULL, but those that its kind of subject never calls. */
struct subscription_ops {
	/*
	 * Borrowed. id: of a stream's entry, or of a message that is recorded beside its channel;
	 * NULL: it has none.
	 */
	void (*on_message)(struct subscription *sn, struct message *msg,
			   const struct stream_id *id);
	void (*on_confirmed)(struct subscription *sn); /* from now on nothing falls between */
	void (*on_refused)(struct subscription *sn, const char *why);
	void (*on_lost)(struct subscription *sn); /* the link; on_confirmed() comes again */
	void (*on_change)(struct subscription *sn, enum stream_change change); /* of a stream */
};

/* A part of whatever wants it. */
struct subscription {
	struct list of_subject; /* this and the next are subjects' */
	struct subject *subject;
	enum subject_kind kind; /* as its owner sees it; these three are subjects', too */
	size_t head;            /* bytes that stand before the owner's part of what arrives */
	size_t name_len;
	const struct subscription_ops *ops;
};

/* subjects_new - the turn is told when something arrives. Returns 0, -ENOMEM or what libuv said. */
int subjects_new(struct subjects **out, uv_loop_t *loop, struct topology *tp, struct turn *turn);
void subjects_free(struct subjects *sj); /* nothing is followed any more; takes NULL */

/* subjects_set_redis - follow all anew, there. Errors as subjects_new(): then all goes on here. */
int subjects_set_redis(struct subjects *sj, struct topology *tp);
void subjects_set_command(struct subjects *sj, struct command *command); /* whom readers ask */
bool subjects_are_up(const struct subjects *sj);
const struct redis_settings *subjects_redis(const struct subjects *sj);
const char *subjects_prefix(const struct subjects *sj);

/*
 * subjects_follow - sn, whose ops are set, is told of it from now on. Whether it is confirmed
 * already, subscription_is_confirmed() says: then on_confirmed() is not called. Returns 0, -ENOMEM.
 */
int subjects_follow(struct subjects *sj, struct subscription *sn, enum subject_kind kind,
		    const char *name);
void subjects_leave(struct subscription *sn); /* also if it follows nothing */

enum subject_kind subscription_kind(const struct subscription *sn);
const char *subscription_name(const struct subscription *sn);
const char *subscription_key(const struct subscription *sn); /* the name with the prefix */
bool subscription_is_confirmed(const struct subscription *sn);
const struct stream_id *subscription_place(const struct subscription *sn); /* in a stream */

#endif
