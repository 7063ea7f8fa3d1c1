#ifndef SLUICE_REDIS_EAR_H
#define SLUICE_REDIS_EAR_H

/*
 * ear - the subscriptions at one server, on one link; they are made anew whenever the link comes
 * back.
 *
 * A message is delivered by the names that stand in it. A reply that makes no sense breaks the
 * link, and never the process. Names are as Redis knows them, with the prefix.
 * Source: redis.io/docs/interact/pubsub, redis.io/commands/ssubscribe.
 */
#include "redis/pubsub.h"

struct ear;

/* The command that subscribes: SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE. */
enum ear_verb { EAR_CHANNEL, EAR_PATTERN, EAR_SHARD, EAR_VERBS };

/* ear_new - tp is borrowed for its life; ops are called for its subjects. Errors as link_new(). */
int ear_new(struct ear **out, uv_loop_t *loop, struct topology *tp, const struct pubsub_ops *ops,
	    void *ctx);
void ear_free(struct ear *ear); /* takes NULL; its subjects are left alone */
bool ear_is_up(const struct ear *ear);

/* ear_begin - adds a subject, as pubsub_subscribe() does. Returns 0, -ENOMEM. */
int ear_begin(struct ear *ear, struct pubsub_subject *subject, enum ear_verb verb, const char *name,
	      size_t len);
void ear_end(struct ear *ear, struct pubsub_subject *subject);

/*
 * ear_forget - removes the subject without telling the server, which has ended it already, or whose
 * ear is about to be freed.
 */
void ear_forget(struct ear *ear, struct pubsub_subject *subject);

struct pubsub_subject *
ear_find(const struct ear *ear, enum ear_verb verb, const char *name, size_t len);
struct pubsub_subject *ear_first(const struct ear *ear); /* any subject; NULL: there is none */

#endif
