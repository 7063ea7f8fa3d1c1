#ifndef SLUICE_REDIS_PUBSUB_H
#define SLUICE_REDIS_PUBSUB_H

/*
 * pubsub - the subscriptions of one worker, restored whenever a link comes back.
 *
 * In a cluster a channel is subscribed to at any one node; one with a hash tag at the node of its
 * slot, where those of the tag are published, too; a sharded one there in any case. What becomes of
 * a key is told by the node that has it, and of a pattern of keys by each. Names are as Redis knows
 * them, with the prefix.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "redis/link.h"
#include "redis/subject.h"

struct post;
struct pubsub;
struct redisReply;

/* What is subscribed to: a channel or a pattern. A part of whatever wants it; the fields are
 * pubsub's. */
struct pubsub_subject {
	struct map_node by_name;
	struct sent *awaited; /* its SUBSCRIBE, until that is answered */
	struct post *posts;   /* in a cluster: where it is subscribed */
	unsigned char kind;   /* enum subject_kind */
	unsigned char verb;   /* enum ear_verb */
	bool is_lost;         /* it was, and on_lost() is to say so */
};

struct pubsub_message { /* borrowed */
	const char
	    *channel; /* the real channel, also for a pattern; NUL-terminated, may hold NULs */
	size_t channel_len;
	const char *data;
	size_t data_len;
};

struct pubsub_ops {
	void (*on_message)(struct pubsub_subject *subject, const struct pubsub_message *msg);
	/* Redis has confirmed: what is published from now on arrives. Again after each on_lost. */
	void (*on_confirmed)(struct pubsub_subject *subject);
	/* Redis refuses this one (ACL). It is tried again, and each time either comes. */
	void (*on_refused)(struct pubsub_subject *subject, const char *why);
	/* A link broke, or subjects have moved: those with is_lost, which the callee takes back,
	 * are confirmed no more. */
	void (*on_lost)(void *ctx);
	/* Of an ear of a cluster's node alone: the slot is elsewhere, as the reply says or, NULL,
	 * for the node has ended it. */
	void (*on_gone)(struct pubsub_subject *subject, const struct redisReply *reply);
};

/* pubsub_new - tp is borrowed for its life. Errors as link_new(). */
int pubsub_new(struct pubsub **out, uv_loop_t *loop, struct topology *tp,
	       const struct pubsub_ops *ops, void *ctx);
void pubsub_free(struct pubsub *ps); /* takes NULL; its subjects are left alone */
bool pubsub_is_up(const struct pubsub *ps);

/*
 * pubsub_subscribe - one more subject, which must not be subscribed yet. name is as Redis
 * knows it, with the prefix, and is borrowed until it is unsubscribed. No callback comes before it
 * returns. Returns 0 (also while the link is down), -ENOMEM.
 */
int pubsub_subscribe(struct pubsub *ps, struct pubsub_subject *subject, enum subject_kind kind,
		     const char *name, size_t len);

/* pubsub_unsubscribe - no callback comes any more. May be called in any callback. */
void pubsub_unsubscribe(struct pubsub *ps, struct pubsub_subject *subject);

/* pubsub_find - what is subscribed under this name, with the prefix; or NULL. */
struct pubsub_subject *
pubsub_find(const struct pubsub *ps, enum subject_kind kind, const char *name, size_t len);

/* pubsub_adopt - take over all subjects of another, which has none then, and subscribe to them
 * here. Returns 0; -ENOMEM: then they are the other's still. */
int pubsub_adopt(struct pubsub *ps, struct pubsub *from);

#endif
