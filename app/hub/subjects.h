#ifndef SLUICE_HUB_SUBJECTS_H
#define SLUICE_HUB_SUBJECTS_H

/*
 * subjects - what is followed in Redis: channels, patterns, streams, and changes of keys. Each is
 * followed once, however many want it. This module knows no feed: each subscription has an owner,
 * which is called. Names are given without the prefix, which is put before them here.
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

/* What an owner is told. None may be NULL, unless its kind of subject never calls it. */
struct subscription_ops {
	/*
	 * The message is borrowed. id: of a stream's entry, or of a recorded channel's message;
	 * NULL: it has none.
	 */
	void (*on_message)(struct subscription *sn, struct message *msg,
			   const struct stream_id *id);
	void (*on_confirmed)(struct subscription *sn); /* from now on no message is missed */
	void (*on_refused)(struct subscription *sn, const char *why);
	void (*on_lost)(
	    struct subscription *sn); /* the link broke; on_confirmed() will come again */
	void (*on_change)(struct subscription *sn, enum stream_change change); /* of a stream */
};

/* The owner embeds it. */
struct subscription {
	struct list of_subject; /* this and the next belong to subjects */
	struct subject *subject;
	const struct subscription_ops *ops;
	uint16_t head; /* bytes of what arrives that stand before the owner's part */
	uint16_t name_len;
	unsigned char kind; /* enum subject_kind, as its owner calls it */
	/* The owner's; they cost no memory here, and there is one for each channel that is open. */
	unsigned char index;
	bool is_awaited;
};

/* subjects_new - turn is told when something arrives. Returns 0, -ENOMEM or what libuv returned. */
int subjects_new(struct subjects **out, uv_loop_t *loop, struct topology *tp, struct turn *turn);
void subjects_free(struct subjects *sj); /* nothing is followed any more; takes NULL */

/*
 * subjects_set_redis - follows everything anew, on this server. Errors as subjects_new(); then
 * everything stays as it was.
 */
int subjects_set_redis(struct subjects *sj, struct topology *tp);
void subjects_set_command(struct subjects *sj, struct command *command); /* whom readers ask */
bool subjects_are_up(const struct subjects *sj);
const struct redis_settings *subjects_redis(const struct subjects *sj);
const char *subjects_prefix(const struct subjects *sj);

/*
 * subjects_follow - from now on sn, whose ops are set, is told of the subject. If it is confirmed
 * already, on_confirmed() is not called: ask subscription_is_confirmed(). Returns 0, -ENOMEM.
 */
int subjects_follow(struct subjects *sj, struct subscription *sn, enum subject_kind kind,
		    const char *name);
/* subjects_leave - may be called if it follows nothing. */
void subjects_leave(struct subjects *sj, struct subscription *sn);

enum subject_kind subscription_kind(const struct subscription *sn);
const char *subscription_name(const struct subscription *sn);
const char *subscription_key(const struct subscription *sn); /* the name with the prefix */
bool subscription_is_confirmed(const struct subscription *sn);
const struct stream_id *subscription_place(const struct subscription *sn); /* in a stream */

#endif
