#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "redis/command.h"
#include "redis/once.h"
#include "redis/recorded.h"
#include "route/publish.h"
#include "route/serving.h"

enum { LOG_PAUSE_MS = 60000 };

/* A publisher that knows no answer says it again within the day. */
#define ONCE_KEPT_MS "86400000"

/* A message that Redis has been told, and the client that waits to hear of it. */
struct posting {
	struct later later;
	bool is_stream;
	size_t len;
	char route[65];
	char name[];
};

static void
posting_free(struct posting *p)
{
	later_fini(&p->later);
	free(p);
}

/* The operator's fault, and not the client's: it is told what to repair. */
static void
log_refusal(const struct posting *p, const struct redisReply *reply)
{
	static struct logger_pause pause;

	if (reply != NULL && logger_may(&pause, clock_ms(), LOG_PAUSE_MS))
		logger_warn("[route %s] Redis refuses a message to %s %s: %s", p->route,
			    p->is_stream ? "stream" : "channel", p->name,
			    reply->type == REDIS_REPLY_ERROR ? reply->str : "an odd reply");
}

static void
answer_published(struct posting *p, const struct publish_result *result)
{
	struct answer *out = p->later.out;

	later_begin(&p->later, HTTP_ACCEPTED, "application/json");
	if (result->id != NULL)
		answer_printf(out, "{\"id\":\"%s\"}\n", result->id);
	else
		answer_printf(out, "{\"receivers\":%lld}\n", result->n_receivers);
	later_send(&p->later);
}

static void
on_posted(void *arg, const struct redisReply *reply)
{
	struct posting *p = arg;
	struct publish_result result;
	int status = publish_result(&result, reply);

	logger_info("[route %s] POST to %s %s, %zu bytes: %s", p->route,
		    p->is_stream ? "stream" : "channel", p->name, p->len,
		    status == HTTP_ACCEPTED ? "published" : result.why);
	if (status == HTTP_ACCEPTED) {
		counters_add_of(p->later.counted, COUNTER_PUBLISHED, 1);
		answer_published(p, &result);
	} else {
		if (status == HTTP_UNAVAILABLE)
			log_refusal(p, reply);
		later_refuse(&p->later, status, result.why);
	}
	posting_free(p);
}

/* Words of a command. Those that are made are owned. */
struct words {
	const char *argv[12];
	size_t lens[12];
	int n;
	char *own[4];
	int n_own;
	bool is_broken; /* out of memory */
};

static void
add_bytes(struct words *w, const char *p, size_t len)
{
	w->argv[w->n] = p;
	w->lens[w->n++] = len;
}

static void
add(struct words *w, const char *text)
{
	add_bytes(w, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void
add_made(struct words *w, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text == NULL) {
		w->is_broken = true;
		return;
	}
	w->own[w->n_own++] = text;
	add(w, text);
}

static void
add_data(struct words *w, const struct publication *pub)
{
	add_bytes(w, pub->data.p != NULL ? pub->data.p : "", pub->data.len);
}

static unsigned long long
count_kept(const struct publication *pub)
{
	return pub->record > 0 ? pub->record : pub->maxlen;
}

/* In one script, so that saying it again finds either all of it or nothing. */
static void
say_once(struct words *w, const struct publication *pub, const char *prefix)
{
	const char *name = pub->name.p;

	add(w, "EVAL");
	add(w, ONCE_SCRIPT);
	add(w, "3");
	add_made(w, "%s%s", prefix, name);
	add_made(w, "%s%s" ONCE_INFIX "%s", prefix, name, pub->once.p);
	add_made(w, "%s%s%s", prefix, name, pub->record > 0 ? RECORDED_SUFFIX : "");
	add_data(w, pub);
	add(w, ONCE_KEPT_MS);
	add(w, pub->is_stream ? "stream" : pub->record > 0 ? "recorded" : "channel");
	add_made(w, "%llu", count_kept(pub));
	add_bytes(w, pub->body, pub->body_len);
}

/* To the channel and to its log, as one. */
static void
say_to_both(struct words *w, const struct publication *pub, const char *prefix)
{
	add(w, "EVAL");
	add(w, RECORDED_SCRIPT);
	add(w, "2");
	add_made(w, "%s%s", prefix, pub->name.p);
	add_made(w, "%s%s" RECORDED_SUFFIX, prefix, pub->name.p);
	add_data(w, pub);
	add_made(w, "%llu", count_kept(pub));
}

static void
say(struct words *w, const struct publication *pub, const char *prefix)
{
	add(w, pub->is_stream ? "XADD" : "PUBLISH");
	add_made(w, "%s%s", prefix, pub->name.p);
	if (pub->is_stream && pub->maxlen > 0) {
		add(w, "MAXLEN");
		add(w, "~");
		add_made(w, "%llu", count_kept(pub));
	}
	if (pub->is_stream) {
		add(w, "*");
		add(w, "data");
	}
	add_data(w, pub);
}

static int
tell_redis(struct serving *sv, struct posting *p, const struct publication *pub)
{
	const char *prefix = hub_prefix(sv->in->hub);
	struct words w = {.n = 0};
	int rc;

	if (hub_command(sv->in->hub) == NULL)
		return -ENOTCONN;
	if (pub->once.len > 0)
		say_once(&w, pub, prefix);
	else if (pub->record > 0)
		say_to_both(&w, pub, prefix);
	else
		say(&w, pub, prefix);
	rc = w.is_broken
		 ? -ENOMEM
		 : command_send(hub_command(sv->in->hub), on_posted, p, w.n, w.argv, w.lens);
	while (w.n_own > 0)
		free(w.own[--w.n_own]);
	return rc;
}

/* How many messages of the channel are kept, by any route. */
static unsigned
records(const struct serving *sv, const char *channel)
{
	const struct route *rt;
	unsigned n, most = 0;

	for (size_t i = 0; (rt = sv->in->nth_route(sv->in, i)) != NULL; i++) {
		if ((n = route_records(rt, channel)) > most)
			most = n;
	}
	return most;
}

static struct posting *
posting_new(struct serving *sv, const struct publication *pub)
{
	struct posting *p = calloc(1, sizeof(*p) + pub->name.len);

	if (p == NULL)
		return NULL;
	p->is_stream = pub->is_stream;
	p->len = pub->data.len;
	memcpy(p->name, pub->name.p, pub->name.len);
	snprintf(p->route, sizeof(p->route), "%s", sv->req->route->name);
	if (later_init(&p->later, sv) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* The parameters of the path, and those that the template names. As site_check_param(). */
static int
check_publish_params(struct serving *sv)
{
	const struct request *req = sv->req;
	const struct publish *settings = &req->route->publish;
	struct template *t = settings->stream != NULL ? settings->stream : settings->channel;
	struct template *const list[] = {t, NULL};
	struct template *const *const lists[] = {list, NULL};
	struct template_value params[KEY_PARAMS_MAX + 1];
	const char *name;
	size_t n;
	int status;

	if ((status = key_check_path(sv)) != 0)
		return status;
	for (n = 0; (name = template_param(t, n)) != NULL; n++) {
		if ((status = key_check(sv, name, request_raw_param(req, name))) != 0)
			return status;
	}
	request_read_params(req, params, KEY_PARAMS_MAX);
	return authorising_check_channels(sv, lists, params) ? 0 : HTTP_FORBIDDEN;
}

static bool
takes(const struct request *req)
{
	return req->method == METHOD_POST && route_can_publish(req->route);
}

static const struct auth_list *
auth_of_publishing(const struct route *rt)
{
	return &rt->publish.auth;
}

static void
serve(struct serving *sv)
{
	struct publication pub;
	struct posting *p;
	const char *why;
	int status;

	if (check_publish_params(sv) != 0)
		return;
	status = publish_read(&pub, sv->req, sv->body, sv->body_len, &why);
	if (status == 0 && !pub.is_stream)
		pub.record = records(sv, pub.name.p);
	if (status != 0) {
		serving_refuse_until(sv, status, why, pub.retry_after_s);
	} else if ((p = posting_new(sv, &pub)) == NULL) {
		serving_refuse(sv, HTTP_UNAVAILABLE, "This server has no room for the message.");
	} else if (tell_redis(sv, p, &pub) < 0) {
		posting_free(p);
		serving_refuse(sv, HTTP_UNAVAILABLE, "Redis is away: nothing was published.");
	} else {
		later_expect(&p->later, sv->sub);
	}
	publication_fini(&pub);
}

const struct service service_posting = {
    .name = "posting",
    .has_effect = true,
    .tells_redis = true,
    .takes = takes,
    .auth = auth_of_publishing,
    .serve = serve,
};
