#include "redis/tracking.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logger.h"

#define CHANNEL "__redis__:invalidate"

struct tracking {
	uv_loop_t *loop;
	struct lane *lane;
	struct link *ear;
	const struct tracking_ops *ops;
	void *ctx;
	long long ear_id; /* 0: it does not listen */
	bool is_id_asked;
	enum tracking_state state;
	struct switching *switching; /* what was sent on the lane; NULL: nothing */
	struct logger_pause complaint;
};

/* CLIENT TRACKING on its way; it may be answered after its tracking has gone. */
struct switching {
	struct tracking *tracking;
};

static void
complain(struct tracking *tr, const char *why)
{
	char where[256];

	if (logger_may(&tr->complaint, uv_now(tr->loop), LOGGER_PERIOD_MS))
		logger_warn("Redis (changes, %s): CLIENT TRACKING: %s: streams are polled",
			    redis_url_print(link_url(tr->ear), where, sizeof(where)), why);
}

static void
on_switched(void *arg, const redisReply *reply)
{
	struct switching *sw = arg;
	struct tracking *tr = sw->tracking;

	free(sw);
	if (tr == NULL)
		return;
	tr->switching = NULL;
	if (reply == NULL)
		return; /* the lane is down */
	tr->state = TRACKING_ON;
	if (reply->type == REDIS_REPLY_ERROR) {
		tr->state = TRACKING_REFUSED;
		complain(tr, reply->str);
	}
	tr->ops->on_ready(tr->ctx);
}

static void
forget_switching(struct tracking *tr)
{
	if (tr->switching != NULL)
		tr->switching->tracking = NULL;
	tr->switching = NULL;
}

/* Both links are up: changes of what the lane reads are reported on the ear. */
static void
switch_on(struct tracking *tr)
{
	char id[24];
	const char *argv[] = {"CLIENT", "TRACKING", "ON", "REDIRECT", id, "OPTIN"};

	if (tr->ear_id == 0 || !lane_is_up(tr->lane))
		return;
	forget_switching(tr);
	if ((tr->switching = malloc(sizeof(*tr->switching))) == NULL) {
		link_fail(tr->ear, "out of memory");
		return;
	}
	tr->switching->tracking = tr;
	snprintf(id, sizeof(id), "%lld", tr->ear_id);
	if (lane_send(tr->lane, on_switched, tr->switching, RESP_ARRAY(argv)) < 0) {
		free(tr->switching);
		tr->switching = NULL;
		link_fail(tr->ear, "out of memory");
	}
}

static void
lose(struct tracking *tr)
{
	forget_switching(tr);
	tr->state = TRACKING_OFF;
	tr->ops->on_lost(tr->ctx);
}

void
tracking_lane_up(struct tracking *tr)
{
	switch_on(tr);
}

void
tracking_lane_down(struct tracking *tr)
{
	lose(tr);
}

static void
on_up(void *ctx)
{
	struct tracking *tr = ctx;

	tr->is_id_asked = true;
	if (link_send(tr->ear, RESP_WORDS("CLIENT", "ID")) < 0)
		link_fail(tr->ear, "out of memory");
}

static void
on_down(void *ctx, const char *why)
{
	struct tracking *tr = ctx;

	(void)why;
	tr->ear_id = 0;
	tr->is_id_asked = false;
	lose(tr);
}

static void
on_id(struct tracking *tr, const redisReply *reply)
{
	tr->is_id_asked = false;
	if (reply->type != REDIS_REPLY_INTEGER) {
		link_fail(tr->ear, "it has no CLIENT ID");
		return;
	}
	tr->ear_id = reply->integer;
	if (link_send(tr->ear, RESP_WORDS("SUBSCRIBE", CHANNEL)) < 0)
		link_fail(tr->ear, "out of memory");
}

static void
on_keys(struct tracking *tr, const redisReply *keys)
{
	if (keys->type != REDIS_REPLY_ARRAY) {
		tr->ops->on_key(tr->ctx, NULL, 0); /* the whole database was emptied */
		return;
	}
	for (size_t i = 0; i < keys->elements; i++) {
		if (keys->element[i]->type == REDIS_REPLY_STRING)
			tr->ops->on_key(tr->ctx, keys->element[i]->str, keys->element[i]->len);
	}
}

static bool
is_word(const redisReply *reply, const char *word)
{
	return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, word) == 0;
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	struct tracking *tr = ctx;

	if (tr->is_id_asked) {
		on_id(tr, reply);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		tr->state = TRACKING_REFUSED;
		complain(tr, reply->str);
		tr->ops->on_ready(tr->ctx);
	} else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
		   is_word(reply->element[0], "message")) {
		on_keys(tr, reply->element[2]);
	} else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
		   is_word(reply->element[0], "subscribe")) {
		switch_on(tr);
	}
}

static void
on_quiet(void *ctx)
{
	struct tracking *tr = ctx;

	link_send(tr->ear, RESP_WORDS("PING"));
}

static const struct link_ops link_ops = {
    .on_up = on_up,
    .on_down = on_down,
    .on_reply = on_reply,
    .on_quiet = on_quiet,
};

int
tracking_new(struct tracking **out, uv_loop_t *loop, struct topology *tp, struct lane *lane,
	     const struct tracking_ops *ops, void *ctx)
{
	struct tracking *tr = calloc(1, sizeof(*tr));
	int rc;

	if (tr == NULL)
		return -ENOMEM;
	tr->loop = loop;
	tr->lane = lane;
	tr->ops = ops;
	tr->ctx = ctx;
	if ((rc = link_new(&tr->ear, loop, "changes", tp, &link_ops, tr)) < 0) {
		free(tr);
		return rc;
	}
	*out = tr;
	return 0;
}

void
tracking_free(struct tracking *tr)
{
	if (tr == NULL)
		return;
	forget_switching(tr);
	link_free(tr->ear);
	free(tr);
}

enum tracking_state
tracking_state(const struct tracking *tr)
{
	return tr->state;
}
