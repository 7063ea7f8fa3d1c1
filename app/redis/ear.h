#ifndef SLUICE_REDIS_EAR_H
#define SLUICE_REDIS_EAR_H

/*
 * ear - what is subscribed at one server, on one link, restored whenever it comes back.
 *
 * A message is delivered by the names that stand in it. A reply that makes no
 * sense costs the link, never the process. Names are as Redis knows them, with the prefix.
 * Source: redis.io/docs/interact/pubsub, redis.io/commands/ssubscribe.
 */
#include "redis/pubsub.h"

struct ear;

/* How it is subscribed to: SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE. */
enum ear_verb { EAR_CHANNEL, EAR_PATTERN, EAR_SHARD, EAR_VERBS };

/* ear_new - tp is borrowed for its life; subjects are called as ops say. Errors as link_new(). */
int ear_new(struct ear **out, uv_loop_t *loop, struct topology *tp, const struct pubsub_ops *ops,
	    void *ctx);
void ear_free(struct ear *ear); /* takes NULL; its subjects are left alone */
bool ear_is_up(const struct ear *ear);

/* ear_begin - one more subject, as pubsub_subscribe(). Returns 0, -ENOMEM. */
int ear_begin(struct ear *ear, struct pubsub_subject *subject, enum ear_verb verb, const char *name,
	      size_t len);
void ear_end(struct ear *ear, struct pubsub_subject *subject);

/* ear_forget - the server has ended it already, or the ear is to be freed: it is not told. */
void ear_forget(struct ear *ear, struct pubsub_subject *subject);

struct pubsub_subject *
ear_find(const struct ear *ear, enum ear_verb verb, const char *name, size_t len);
struct pubsub_subject *ear_first(const struct ear *ear); /* any; NULL: it hears nothing */

#endif
