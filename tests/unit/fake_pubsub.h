#ifndef TESTS_FAKE_PUBSUB_H
#define TESTS_FAKE_PUBSUB_H

/*
 * fake_pubsub - a Redis and carriers that are only pretended, for tests of feeds and subscribers.
 *
 * The functions of redis/pubsub.h are defined here in place of the real ones. So is the clock,
 * which libuv asks for by clock_gettime(): it goes on when the test says so, and a busy machine
 * makes no turn of the loop longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "hub/hub.h"

/* The clock */

static uint64_t now_ms;

int clock_gettime(clockid_t clock, struct timespec *ts);

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	ts->tv_sec = (time_t)(now_ms / 1000);
	ts->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

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

void
pubsub_adopt(struct pubsub *ps, struct pubsub *from)
{
	(void)ps;
	(void)from;
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

static inline void
confirm(const char *name)
{
	fake_redis.ops->on_confirmed(subject_named(name));
}

static inline void
publish(const char *name, const char *data)
{
	struct pubsub_message msg = {
	    .channel = name, .channel_len = strlen(name), .data = data, .data_len = strlen(data)};

	fake_redis.ops->on_message(subject_named(name), &msg);
}

/* A client: takes so many bytes, then is blocked. */

struct client {
	struct subscriber sub;
	char got[65536];
	size_t len;
	size_t room;
	unsigned n_writes;
	bool is_closed;
};

static enum send_result
client_send(struct subscriber *sub)
{
	struct client *c = (struct client *)(void *)sub;
	struct iovec iov[8];
	int i, n = 8;
	size_t len, taken = 0;

	while ((len = subscriber_gather(sub, iov, &n, sizeof(c->got))) > 0) {
		if (c->room == 0)
			return SEND_BLOCKED;
		for (i = 0, taken = 0; i < n && c->room > 0; i++) {
			size_t part = iov[i].iov_len < c->room ? iov[i].iov_len : c->room;

			assert_true(c->len + part < sizeof(c->got));
			memcpy(c->got + c->len, iov[i].iov_base, part);
			c->len += part;
			c->room -= part;
			taken += part;
		}
		c->n_writes++;
		subscriber_sent(sub, taken);
		n = 8;
	}
	if (!subscriber_is_finished(sub))
		return SEND_ALL;
	c->is_closed = true;
	subscriber_close(sub);
	return SEND_GONE;
}

static void
client_abort(struct subscriber *sub)
{
	((struct client *)(void *)sub)->is_closed = true;
	subscriber_close(sub);
}

static const struct subscriber_ops client_ops = {.send = client_send, .abort = client_abort};

#endif
