#ifndef SLUICE_REDIS_PUBSUB_H
#define SLUICE_REDIS_PUBSUB_H

/*
 * pubsub - the subscriptions of one worker, on one link, restored whenever it comes back.
 *
 * A message is delivered by the names that stand in it. A reply that makes no
 * sense costs the link, never the process. Names are as
 * Redis knows them, with the prefix.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "redis/link.h"

struct pubsub;

/* The first two are pubsub's; streams are reader.h's, and a keyspace is a channel or a pattern
 * here. */
enum subject_kind { SUBJECT_CHANNEL, SUBJECT_PATTERN, SUBJECT_STREAM, SUBJECT_KEYSPACE };

/* What is subscribed to; a part of whatever wants it. The fields are pubsub's. */
struct pubsub_subject {
	struct map_node by_name;
	struct sent *awaited; /* its SUBSCRIBE, until that is answered */
	unsigned char kind;   /* enum subject_kind */
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
	void (*on_lost)(void *ctx); /* the link broke: no subject is confirmed any more */
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
 * here. */
void pubsub_adopt(struct pubsub *ps, struct pubsub *from);

#endif
