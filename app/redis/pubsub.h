#ifndef SLUICE_REDIS_PUBSUB_H
#define SLUICE_REDIS_PUBSUB_H

/*
 * pubsub - the subscriptions of one worker, which are made anew whenever a link comes back.
 *
 * In a cluster a plain channel is subscribed at any one node; a channel with a hash tag at the node
 * of its slot, where messages for that tag are published, too; a sharded channel always there.
 * Changes of a key are told by the node that has it, changes of a pattern of keys by each node.
 * Names are as Redis knows them, with the prefix.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "redis/link.h"
#include "redis/subject.h"

struct post;
struct pubsub;
struct redisReply;

/* A channel or a pattern. Embedded by whatever wants it; the fields belong to pubsub. */
struct pubsub_subject {
	struct map_node by_name;
	struct post *posts; /* in a cluster: the nodes where it is subscribed */
	unsigned char kind; /* enum subject_kind */
	unsigned char verb; /* enum ear_verb */
	bool is_awaited;    /* its SUBSCRIBE is not answered yet */
	bool is_lost;       /* it was confirmed, and on_lost() must report it */
	bool is_confirmed;  /* the caller's */
};

struct pubsub_message { /* borrowed */
	/* the real channel, also for a pattern; NUL-terminated, may hold NULs */
	const char *channel;
	size_t channel_len;
	const char *data;
	size_t data_len;
};

struct pubsub_ops {
	void (*on_message)(void *ctx, struct pubsub_subject *subject,
			   const struct pubsub_message *msg);
	/*
	 * Redis has confirmed: what is published from now on arrives. Called again after each
	 * on_lost.
	 */
	void (*on_confirmed)(void *ctx, struct pubsub_subject *subject);
	/*
	 * Redis refuses the subscription (ACL). It is tried again, and each time this or
	 * on_confirmed is called.
	 */
	void (*on_refused)(void *ctx, struct pubsub_subject *subject, const char *why);
	/*
	 * A link broke, or subjects have moved: subjects with is_lost, which the callee resets, are
	 * not confirmed any more.
	 */
	void (*on_lost)(void *ctx);
	/*
	 * Only the ear of one node of a cluster calls it: the slot has moved. reply says where to;
	 * NULL: the node has ended the subscription.
	 */
	void (*on_gone)(void *ctx, struct pubsub_subject *subject, const struct redisReply *reply);
};

/* pubsub_new - tp is borrowed for its life. Errors as link_new(). */
int pubsub_new(struct pubsub **out, uv_loop_t *loop, struct topology *tp,
	       const struct pubsub_ops *ops, void *ctx);
void pubsub_free(struct pubsub *ps); /* takes NULL; its subjects are left alone */
bool pubsub_is_up(const struct pubsub *ps);

/*
 * pubsub_subscribe - adds a subject, which must not be subscribed yet. name is as Redis knows it,
 * with the prefix, and is borrowed until it is unsubscribed. No callback is called before this
 * returns. Returns 0 (even while the link is down), -ENOMEM.
 */
int pubsub_subscribe(struct pubsub *ps, struct pubsub_subject *subject, enum subject_kind kind,
		     const char *name, size_t len);

/* pubsub_unsubscribe - no callback is called any more. May be called in any callback. */
void pubsub_unsubscribe(struct pubsub *ps, struct pubsub_subject *subject);

/* pubsub_find - the subject that is subscribed under this name, with the prefix; or NULL. */
struct pubsub_subject *
pubsub_find(const struct pubsub *ps, enum subject_kind kind, const char *name, size_t len);

/*
 * pubsub_adopt - takes over all subjects of another and subscribes to them here; the other has none
 * then. Returns 0; -ENOMEM: then they still belong to the other.
 */
int pubsub_adopt(struct pubsub *ps, struct pubsub *from);

#endif
