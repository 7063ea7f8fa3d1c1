#include "route/publish.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/quota.h"
#include "logic/expression.h"
#include "logic/json_text.h"
#include "logic/message.h"
#include "redis/once.h"
#include "sse/utf8.h"

enum {
	ONCE_LEN_MAX = 128,
	NAME_LEN_MAX = 1024,
	DATA_MAX = 16 * 1024 * 1024,
	PARAMS_MAX = 64,
	WHY_LEN = 512
};

void
publication_fini(struct publication *pub)
{
	buf_fini(&pub->name);
	buf_fini(&pub->data);
}

/* "application/json", whatever parameters follow it. */
static bool
is_json_type(const char *type)
{
	static const char json[] = "application/json";
	size_t len = sizeof(json) - 1;

	return type != NULL && strncasecmp(type, json, len) == 0 &&
	       strchr("; \t", type[len]) != NULL;
}

/* It becomes part of a key in Redis. */
static bool
is_once_key(const char *text)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_.-");

	return len > 0 && len <= ONCE_LEN_MAX && text[len] == '\0';
}

/* Is there one more in the route's time, in all workers? */
static bool
is_within_rate(const struct route *rt)
{
	const struct pace_limit *rate = &rt->publish.rate;

	return rate->n == 0 || quota_take_in(quota_key("publish", rt->name, NULL), rate->n,
					     rate->period_ms, clock_ms());
}

static void
log_failure(const struct request *req, const char *key, const char *why)
{
	static struct logger_pause pause;

	if (logger_may(&pause, clock_ms(), 60000))
		logger_warn("[route %s] %s: %s", req->route->name, key, why);
}

static int
check(const struct request *req, const struct template_scope *scope, const char **why)
{
	char text[WHY_LEN];
	bool is_valid;

	*why = "The route takes no such message.";
	if (req->route->publish.filter == NULL)
		return 0;
	if (expression_is_true(req->route->publish.filter, scope, &is_valid, text, sizeof(text)) <
	    0)
		log_failure(req, "publish_filter", text);
	return is_valid ? 0 : 422;
}

/* The very bytes, or what the transform makes of them. */
static int
put_data(struct publication *pub, const struct request *req, const struct template_scope *scope,
	 const char **why)
{
	char text[WHY_LEN];
	bool is_some;

	if (req->route->publish.transform == NULL)
		return buf_put(&pub->data, scope->msg->data, scope->msg->data_len);
	if (expression_render(req->route->publish.transform, scope, &pub->data, &is_some, text,
			      sizeof(text)) < 0)
		log_failure(req, "publish_transform", text);
	*why = "The route can make nothing of this message.";
	return is_some ? 0 : 422;
}

static int
make(struct publication *pub, const struct request *req, struct message *msg, const char **why)
{
	const struct publish *settings = &req->route->publish;
	struct template_value params[PARAMS_MAX + 1];
	struct template_scope scope = {
	    .params = params, .msg = msg, .channel = "", .now = clock_unix()};
	int rc;

	*why = "The body is not JSON.";
	if (utf8_valid_len(msg->data, msg->data_len) != msg->data_len || !message_is_json(msg) ||
	    json_text_has_lone_surrogate(msg->data, msg->data_len))
		return HTTP_BAD_REQUEST;
	*why = "A name stands twice in an object.";
	if (!message_has_unique_names(msg))
		return 422;
	request_read_params(req, params, PARAMS_MAX);
	if ((rc = check(req, &scope, why)) != 0)
		return rc;
	pub->is_stream = settings->stream != NULL;
	pub->maxlen = settings->maxlen;
	pub->record = 0;
	if ((rc = put_data(pub, req, &scope, why)) != 0)
		return rc;
	*why = "A parameter is missing.";
	rc = template_expand(pub->is_stream ? settings->stream : settings->channel, &scope,
			     &pub->name);
	if (rc == -ENOENT)
		return HTTP_BAD_REQUEST;
	return rc < 0 ? rc : buf_putc(&pub->name, '\0');
}

int
publish_read(struct publication *pub, const struct request *req, const char *body, size_t len,
	     const char **why)
{
	const struct publish *settings = &req->route->publish;
	struct message msg;
	struct buf text;
	int rc;

	buf_init(&pub->name, NAME_LEN_MAX);
	buf_init(&pub->data, DATA_MAX);
	*why = "The body must be application/json.";
	if (!is_json_type(request_content_type(req)))
		return 415;
	*why = "The body is longer than this route takes.";
	if (len > settings->max)
		return 413;
	*why = "The header Idempotency-Key must match [A-Za-z0-9_.-]{1,128}.";
	pub->user = req->identity->user;
	pub->once = request_header(req, "Idempotency-Key");
	if (pub->once != NULL && !is_once_key(pub->once))
		return HTTP_BAD_REQUEST;
	*why = "There are more messages than this route takes in the time.";
	if (!is_within_rate(req->route))
		return 429;
	buf_init(&text, len + 1);
	if ((rc = buf_put(&text, body, len)) == 0 && (rc = buf_putc(&text, '\0')) == 0) {
		message_init(&msg, "", 0, text.p, len);
		rc = make(pub, req, &msg, why);
		message_fini(&msg);
	}
	buf_fini(&text);
	if (rc < 0) {
		*why = rc == -EMSGSIZE ? "What the route makes of it is too long."
				       : "This server has no room for the message.";
		rc = rc == -EMSGSIZE ? 413 : HTTP_UNAVAILABLE;
	}
	return rc;
}

int
publish_answer(struct buf *b, const struct redisReply *reply, const char **why)
{
	static struct logger_pause pause;
	const struct redisReply *id = reply;

	*why = "Redis does not answer: the message may have been published or not.";
	if (reply == NULL)
		return HTTP_UNAVAILABLE;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
		id = reply->element[0];
	if (reply->type == REDIS_REPLY_INTEGER &&
	    buf_printf(b, "{\"receivers\":%lld}\n", reply->integer) == 0)
		return 202;
	if (id->type == REDIS_REPLY_STRING && buf_printf(b, "{\"id\":\"%s\"}\n", id->str) == 0)
		return 202;
	*why = "Another message was published with this Idempotency-Key.";
	if (reply->type == REDIS_REPLY_ERROR &&
	    strncmp(reply->str, ONCE_ANOTHER, strlen(ONCE_ANOTHER)) == 0)
		return 422;
	*why = "Redis refuses the message.";
	if (logger_may(&pause, clock_ms(), 60000))
		logger_warn("Redis refuses a message that was posted: %s",
			    reply->type == REDIS_REPLY_ERROR ? reply->str : "an odd reply");
	return HTTP_UNAVAILABLE;
}
