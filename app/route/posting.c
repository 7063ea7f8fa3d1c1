#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "redis/command.h"
#include "redis/publish_argv.h"
#include "route/publish.h"
#include "route/serving.h"

/* A message that was sent to Redis, and the client that waits for the result. */
struct posting {
	struct deferred deferred;
	bool is_stream;
	size_t len;
	char route[65];
	char name[];
};

static void
posting_free(struct posting *p)
{
	deferred_fini(&p->deferred);
	free(p);
}

/* The operator must repair this, and not the client; so the log says what is wrong. */
static void
log_refusal(const struct posting *p, const struct redisReply *reply)
{
	static struct logger_pause pause;

	if (reply != NULL && logger_may(&pause, clock_ms(), LOGGER_PERIOD_MS))
		logger_warn("[route %s] Redis refuses a message to %s %s: %s", p->route,
			    p->is_stream ? "stream" : "channel", p->name,
			    reply->type == REDIS_REPLY_ERROR ? reply->str : "an odd reply");
}

static void
answer_published(struct posting *p, const struct publish_result *result)
{
	struct answer *out = p->deferred.out;

	deferred_begin(&p->deferred, HTTP_ACCEPTED, "application/json");
	if (result->id != NULL)
		answer_printf(out, "{\"id\":\"%s\"}\n", result->id);
	else
		answer_printf(out, "{\"receivers\":%lld}\n", result->n_receivers);
	deferred_send(&p->deferred);
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
		counters_add_of(p->deferred.counted, COUNTER_PUBLISHED, 1);
		answer_published(p, &result);
	} else {
		if (status == HTTP_UNAVAILABLE)
			log_refusal(p, reply);
		deferred_refuse(&p->deferred, status, result.why);
	}
	posting_free(p);
}

static int
tell_redis(struct serving *sv, struct posting *p, const struct publication *pub)
{
	struct command *command = hub_command(sv->in->hub);
	const struct publish_what what = {
	    .kind = publish_kind(pub->is_stream, pub->record),
	    .redis = hub_redis(sv->in->hub),
	    .name = pub->name.p,
	    .data = pub->data.p,
	    .len = pub->data.len,
	    .n_kept = pub->record > 0 ? pub->record : pub->maxlen,
	    .idempotency_key = pub->idempotency_key.len > 0 ? pub->idempotency_key.p : NULL,
	    .body = pub->body,
	    .body_len = pub->body_len,
	};
	struct publish_argv words;
	int rc;

	if (command == NULL)
		return -ENOTCONN;
	if ((rc = publish_argv(&words, &what)) == 0)
		rc = command_send(command, on_posted, p, publish_words(&words));
	publish_argv_fini(&words);
	return rc;
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
	if (deferred_init(&p->deferred, sv) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/*
 * Checks the parameters of the path, and those that the template names. Returns as param_check().
 */
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

	if ((status = param_check_path(sv)) != 0)
		return status;
	for (n = 0; (name = template_param(t, n)) != NULL; n++) {
		if ((status = param_check(sv, name, request_raw_param(req, name))) != 0)
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
	const struct route *rt;
	struct publication pub;
	struct posting *p;
	const char *why;
	int status;

	if (check_publish_params(sv) != 0)
		return;
	status = publish_read(&pub, sv->req, sv->body, sv->body_len, &why);
	if (status == 0 && !pub.is_stream) {
		for (size_t i = 0; (rt = sv->in->nth_route(sv->in, i)) != NULL; i++)
			pub.record = route_records(rt, pub.name.p, pub.record);
	}
	if (status != 0) {
		serving_refuse_until(sv, status, why, pub.retry_after_s);
	} else if ((p = posting_new(sv, &pub)) == NULL) {
		serving_refuse(sv, HTTP_UNAVAILABLE, "This server has no room for the message.");
	} else if (tell_redis(sv, p, &pub) < 0) {
		posting_free(p);
		serving_refuse(sv, HTTP_UNAVAILABLE, "Redis is away: nothing was published.");
	} else {
		deferred_expect(&p->deferred, sv->sub);
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
