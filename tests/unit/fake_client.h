#ifndef TESTS_FAKE_CLIENT_H
#define TESTS_FAKE_CLIENT_H

/*
 * fake_client - clients that are only pretended, and the clock, which libuv asks for by
 * clock_gettime(): it goes on when the test says so, and a busy machine makes no turn of the loop
 * longer.
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
