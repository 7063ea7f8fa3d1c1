#include "redis/sentinel.h"

#include <assert.h>
#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logger.h"
#include "redis/link.h"

enum { ASK_MS = 1000, HOST_MAX = 256 };

/* One sentinel, and the server that it named last. */
struct voice {
	struct sentinel *sentinel;
	struct redis_settings settings;
	struct topology *topology; /* of this sentinel alone */
	struct link *link;
	char host[HOST_MAX];
	int port; /* 0: nobody */
	struct logger_pause complaint;
};

struct sentinel {
	uv_loop_t *loop;
	struct topology *primary;
	const char *master;
	uv_timer_t timer;
	/*
	 * Hears of fail-overs, at any sentinel that answers. A link that is subscribed cannot ask.
	 */
	struct redis_settings ear_settings;
	struct topology *ear_topology;
	struct link *ear;
	size_t n_voices;
	struct voice voices[];
};

int
sentinel_settings(struct redis_settings *out, const struct redis_settings *rs, size_t nth)
{
	const struct redis_url *url = &rs->urls[nth];

	memset(out, 0, sizeof(*out));
	if ((out->urls = calloc(1, sizeof(*out->urls))) == NULL)
		return -ENOMEM;
	out->urls[0].host = url->host; /* the login and the database are the primary's */
	out->urls[0].port = url->port;
	out->urls[0].is_tls = url->is_tls;
	out->n_urls = 1;
	out->prefix = rs->prefix;
	out->password_file = rs->sentinel_password_file;
	out->connect_timeout_ms = rs->connect_timeout_ms;
	out->tls = rs->tls;
	out->is_of_sentinels = true;
	return 0;
}

const char *
sentinel_read(const redisReply *reply, int *port)
{
	const char *digits;
	char *end;
	long n;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING)
		return NULL;
	digits = reply->element[1]->str;
	n = strtol(digits, &end, 10);
	if (*end != '\0' || n < 1 || n > 65535 || reply->element[0]->len == 0 ||
	    reply->element[0]->len >= HOST_MAX)
		return NULL;
	*port = (int)n;
	return reply->element[0]->str;
}

/*
 * The primary is the server that most of them name. If several have as many votes, it is the one
 * that was named just now.
 */
static void
count_votes(struct sentinel *st, const struct voice *latest)
{
	size_t i, n = 0;

	for (i = 0; i < st->n_voices; i++) {
		const struct voice *v = &st->voices[i];

		n += v->port == latest->port && strcmp(v->host, latest->host) == 0;
	}
	topology_found(st->primary, latest->host, latest->port, 2 * n > st->n_voices,
		       "the sentinels name another primary");
}

static void
ask(struct voice *v)
{
	/* A link that is down asks when it comes up. */
	link_send(v->link, RESP_WORDS("SENTINEL", "get-master-addr-by-name", v->sentinel->master));
}

static void
ask_all(struct sentinel *st)
{
	size_t i;

	for (i = 0; i < st->n_voices; i++)
		ask(&st->voices[i]);
}

static void
on_timer(uv_timer_t *timer)
{
	ask_all(timer->data);
}

static void
on_voice_up(void *ctx)
{
	ask(ctx);
}

static void
on_voice_down(void *ctx, const char *why)
{
	struct voice *v = ctx;

	(void)why;
	v->port = 0;
}

static void
on_voice_reply(void *ctx, const redisReply *reply)
{
	struct voice *v = ctx;
	const char *host = sentinel_read(reply, &v->port);
	char where[256];

	if (host != NULL) {
		snprintf(v->host, sizeof(v->host), "%s", host);
		count_votes(v->sentinel, v);
		return;
	}
	v->port = 0;
	if (logger_may(&v->complaint, uv_now(v->sentinel->loop), LOGGER_PERIOD_MS))
		logger_warn("Sentinel (%s): it names no primary for sentinel_master %s%s%s",
			    redis_url_print(&v->settings.urls[0], where, sizeof(where)),
			    v->sentinel->master, reply->type == REDIS_REPLY_ERROR ? ": " : "",
			    reply->type == REDIS_REPLY_ERROR ? reply->str : "");
}

static void
on_voice_quiet(void *ctx)
{
	ask(ctx);
}

static const struct link_ops voice_ops = {
    .on_up = on_voice_up,
    .on_down = on_voice_down,
    .on_reply = on_voice_reply,
    .on_quiet = on_voice_quiet,
};

static void
on_ear_up(void *ctx)
{
	struct sentinel *st = ctx;

	link_send(st->ear, RESP_WORDS("SUBSCRIBE", "+switch-master"));
}

static void
on_ear_down(void *ctx, const char *why)
{
	(void)ctx;
	(void)why;
}

/* Whatever it says, the sentinels are asked, because this one may be out of date. */
static void
on_ear_reply(void *ctx, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
	    reply->element[0]->type == REDIS_REPLY_STRING &&
	    strcmp(reply->element[0]->str, "message") == 0)
		ask_all(ctx);
}

static void
on_ear_quiet(void *ctx)
{
	struct sentinel *st = ctx;

	link_send(st->ear, RESP_WORDS("PING"));
}

static const struct link_ops ear_ops = {
    .on_up = on_ear_up,
    .on_down = on_ear_down,
    .on_reply = on_ear_reply,
    .on_quiet = on_ear_quiet,
};

static int
begin_voice(struct sentinel *st, struct voice *v)
{
	int rc;

	v->sentinel = st;
	if ((rc = topology_new(&v->topology, &v->settings)) < 0)
		return rc;
	return link_new(&v->link, st->loop, "sentinel", v->topology, &voice_ops, v);
}

/* Follows one of the sentinels, which are tried in turn. */
static int
begin_ear(struct sentinel *st)
{
	struct redis_settings *rs = &st->ear_settings;
	size_t i;
	int rc;

	assert(st->n_voices > 0); /* else sentinel_new() was not asked for */
	*rs = st->voices[0].settings;
	if ((rs->urls = calloc(st->n_voices, sizeof(*rs->urls))) == NULL)
		return -ENOMEM;
	rs->n_urls = st->n_voices;
	for (i = 0; i < st->n_voices; i++)
		rs->urls[i] = st->voices[i].settings.urls[0];
	if ((rc = topology_new(&st->ear_topology, rs)) < 0)
		return rc;
	return link_new(&st->ear, st->loop, "fail-overs", st->ear_topology, &ear_ops, st);
}

static int
begin(struct sentinel *st, const struct redis_settings *rs)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < st->n_voices && rc == 0; i++) {
		if ((rc = sentinel_settings(&st->voices[i].settings, rs, i)) == 0)
			rc = begin_voice(st, &st->voices[i]);
	}
	return rc < 0 ? rc : begin_ear(st);
}

int
sentinel_new(struct sentinel **out, uv_loop_t *loop, struct topology *tp)
{
	const struct redis_settings *rs = topology_settings(tp);
	struct sentinel *st;
	int rc;

	*out = NULL;
	if (rs->sentinel_master == NULL)
		return 0;
	if ((st = calloc(1, sizeof(*st) + rs->n_urls * sizeof(st->voices[0]))) == NULL)
		return -ENOMEM;
	if ((rc = uv_timer_init(loop, &st->timer)) < 0) {
		free(st);
		return rc;
	}
	st->loop = loop;
	st->primary = tp;
	st->master = rs->sentinel_master;
	st->n_voices = rs->n_urls;
	st->timer.data = st;
	if ((rc = begin(st, rs)) < 0) {
		sentinel_free(st);
		return rc;
	}
	uv_timer_start(&st->timer, on_timer, ASK_MS, ASK_MS);
	*out = st;
	return 0;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void
sentinel_free(struct sentinel *st)
{
	size_t i;

	if (st == NULL)
		return;
	for (i = 0; i < st->n_voices; i++) {
		link_free(st->voices[i].link);
		topology_free(st->voices[i].topology);
		free(st->voices[i].settings.urls);
	}
	link_free(st->ear);
	topology_free(st->ear_topology);
	free(st->ear_settings.urls);
	uv_close((uv_handle_t *)&st->timer, on_timer_closed);
}
