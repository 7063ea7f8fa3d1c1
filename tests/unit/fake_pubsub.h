#ifndef TESTS_FAKE_PUBSUB_H
#define TESTS_FAKE_PUBSUB_H

/*
 * fake_pubsub - a Redis that is only pretended, for tests of feeds and subscribers.
 *
 * The functions of redis/pubsub.h are defined here in place of the real ones.
 */
#include "fake_client.h"

/* A Redis of one link, that confirms when told to. */

struct pubsub {
	const struct pubsub_ops *ops;
	void *ctx;
};

static struct pubsub fake_redis;
static struct pubsub_subject *subjects[16];

int
pubsub_new(struct pubsub **out, uv_loop_t *loop, struct topology *tp,
	   const struct pubsub_ops *pubsub_ops, void *ctx)
{
	(void)loop;
	(void)tp;
	fake_redis.ops = pubsub_ops;
	fake_redis.ctx = ctx;
	*out = &fake_redis;
	return 0;
}

void
pubsub_free(struct pubsub *ps)
{
	(void)ps;
}

bool
pubsub_is_up(const struct pubsub *ps)
{
	return ps != NULL;
}

int
pubsub_adopt(struct pubsub *ps, struct pubsub *from)
{
	(void)ps;
	(void)from;
	return 0;
}

int
pubsub_subscribe(struct pubsub *ps, struct pubsub_subject *subject, enum subject_kind kind,
		 const char *name, size_t len)
{
	size_t i;

	(void)ps;
	(void)kind;
	for (i = 0; subjects[i] != NULL; i++)
		;
	subjects[i] = subject;
	subject->by_name.key = name;
	subject->by_name.len = (uint32_t)len;
	return 0;
}

void
pubsub_unsubscribe(struct pubsub *ps, struct pubsub_subject *subject)
{
	size_t i;

	(void)ps;
	for (i = 0; subjects[i] != subject; i++)
		;
	subjects[i] = NULL;
}

struct pubsub_subject *
pubsub_find(const struct pubsub *ps, enum subject_kind kind, const char *name, size_t len)
{
	size_t i;

	(void)ps;
	(void)kind;
	for (i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		if (subjects[i] != NULL && subjects[i]->by_name.len == len &&
		    memcmp(subjects[i]->by_name.key, name, len) == 0)
			return subjects[i];
	}
	return NULL;
}

static inline struct pubsub_subject *
subject_named(const char *name)
{
	return pubsub_find(&fake_redis, SUBJECT_CHANNEL, name, strlen(name));
}

/* The link breaks. */
static inline void
lose_all(void)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		if (subjects[i] != NULL)
			subjects[i]->is_lost = true;
	}
	fake_redis.ops->on_lost(fake_redis.ctx);
}

static inline void
confirm(const char *name)
{
	fake_redis.ops->on_confirmed(fake_redis.ctx, subject_named(name));
}

static inline void
publish(const char *name, const char *data)
{
	struct pubsub_message msg = {
	    .channel = name, .channel_len = strlen(name), .data = data, .data_len = strlen(data)};

	fake_redis.ops->on_message(fake_redis.ctx, subject_named(name), &msg);
}

#endif
