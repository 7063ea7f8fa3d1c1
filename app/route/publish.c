#include "route/publish.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/logger.h"
#include "base/quota.h"
#include "logic/expression.h"
#include "base/json_text.h"
#include "logic/message.h"
#include "redis/idempotency.h"
#include "sse/utf8.h"

enum {
	IDEMPOTENCY_KEY_MAX = 255,
	IDEMPOTENCY_TEXT_MAX = 8192,
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
	buf_fini(&pub->idempotency_key);
}

/* JSON is UTF-8 (RFC 8259, 8.1), and ASCII is a part of it. */
static bool
is_utf8(const char *charset)
{
	static const char *const names[] = {"utf-8", "utf8", "us-ascii"};

	charset += *charset == '"';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i]);

		if (strncasecmp(charset, names[i], len) == 0 &&
		    strchr("\"; \t", charset[len]) != NULL)
			return true;
	}
	return false;
}

/* Is there no charset but UTF-8? Other parameters do not matter. */
static bool
has_fine_charset(const char *params)
{
	static const char name[] = "charset=";

	while ((params = strchr(params, ';')) != NULL) {
		params += 1 + strspn(params + 1, " \t");
		if (strncasecmp(params, name, sizeof(name) - 1) == 0 &&
		    !is_utf8(params + sizeof(name) - 1))
			return false;
	}
	return true;
}

/* Is it "application/json", with any parameters but another charset? */
static bool
is_json_type(const char *type)
{
	static const char json[] = "application/json";
	size_t len = sizeof(json) - 1;

	return type != NULL && strncasecmp(type, json, len) == 0 &&
	       strchr("; \t", type[len]) != NULL && has_fine_charset(type + len);
}

/* With "gzip" and the like the body is not JSON yet. */
static bool
is_encoded(const struct request *req)
{
	const char *encoding = request_header(req, "Content-Encoding");

	return encoding != NULL && strcasecmp(encoding, "identity") != 0;
}

/*
 * The text becomes a part of a key in Redis. No part holds a ":", so keys that differ in one part
 * are different keys.
 */
static int
put_escaped(struct buf *b, const char *p, size_t len)
{
	int rc = 0;

	for (; len > 0 && rc == 0; p++, len--) {
		if (strchr("%:{}", *p) != NULL)
			rc = buf_printf(b, "%%%02X", (unsigned char)*p);
		else
			rc = buf_putc(b, *p);
	}
	return rc;
}

/*
 * The header's value without quotes: 1 to 255 visible characters, as a String of RFC 9651 (as the
 * draft has it) or bare. Returns the length; 0: it is none.
 */
static size_t
unquote_key(char key[IDEMPOTENCY_KEY_MAX + 1], const char *text)
{
	bool is_quoted = *text == '"';
	size_t n = 0;

	for (text += is_quoted; *text != '\0' && !(is_quoted && *text == '"'); text++) {
		if (is_quoted && *text == '\\' && *++text != '"' && *text != '\\')
			return 0;
		if (*text < 0x21 || *text > 0x7e || n == IDEMPOTENCY_KEY_MAX)
			return 0;
		key[n++] = *text;
	}
	return strcmp(text, is_quoted ? "\"" : "") == 0 ? n : 0;
}

/* The key is "USER:KEY", or "KEY" if the user is unknown. Returns 0, 400, < 0. */
static int
read_idempotency_key(struct publication *pub, const struct request *req)
{
	const char *text = request_header(req, "Idempotency-Key"), *user = req->identity->user;
	char key[IDEMPOTENCY_KEY_MAX + 1];
	size_t len;
	int rc;

	if (text == NULL)
		return 0;
	if ((len = unquote_key(key, text)) == 0)
		return HTTP_BAD_REQUEST;
	if (user != NULL && ((rc = put_escaped(&pub->idempotency_key, user, strlen(user))) < 0 ||
			     (rc = buf_putc(&pub->idempotency_key, ':')) < 0))
		return rc;
	return (rc = put_escaped(&pub->idempotency_key, key, len)) < 0
		   ? rc
		   : buf_putc(&pub->idempotency_key, '\0');
}

/* Counts one more in publish_rate, over all workers. Returns 429 if there were enough. */
static int
check_rate(struct publication *pub, const struct route *rt)
{
	const struct pace_limit *rate = &rt->publish.rate;
	uint64_t left = rate->n == 0 ? 0
				     : quota_take_in(quota_key("publish", rt->name, NULL), rate->n,
						     rate->period_ms, clock_ms());

	pub->retry_after_s = (unsigned)((left + 999) / 1000);
	return left == 0 ? 0 : HTTP_TOO_MANY_REQUESTS;
}

static void
log_failure(const struct request *req, const char *key, const char *why)
{
	if (sandbox_may_tell(req->route->stream.stages.sandbox))
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
	return is_valid ? 0 : HTTP_UNPROCESSABLE_CONTENT;
}

/* Appends the body as it is, or what the transform makes of it. */
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
	return is_some ? 0 : HTTP_UNPROCESSABLE_CONTENT;
}

/* What is wrong with the body; NULL: nothing. */
static const char *
find_flaw(struct message *msg)
{
	static const char *const flaws[] = {
	    [JSON_BROKEN] = "The body is not JSON.",
	    [JSON_TOO_DEEP] = "The body is nested more than 64 deep.",
	    [JSON_NUL_NAME] = "A name in the body holds \\u0000.",
	    [JSON_LONE_SURROGATE] = ("A \\u escape in the body is half of a surrogate pair: "
				     "it names no character."),
	};
	enum json_flaw flaw;

	if (utf8_valid_len(msg->data, msg->data_len) != msg->data_len)
		return "The body is not UTF-8.";
	flaw = json_text_flaw(msg->data, msg->data_len, NULL);
	if (flaw == JSON_FINE && !message_is_json(msg))
		return "The body is longer than a message may be.";
	return flaws[flaw];
}

static int
make(struct publication *pub, const struct request *req, struct message *msg, const char **why)
{
	const struct publish *settings = &req->route->publish;
	struct template_value params[PARAMS_MAX + 1];
	struct template_scope scope = {
	    .params = params, .msg = msg, .channel = "", .now = clock_unix()};
	int rc;

	if ((*why = find_flaw(msg)) != NULL)
		return HTTP_BAD_REQUEST;
	*why = "A name stands twice in an object.";
	if (!message_has_unique_names(msg))
		return HTTP_UNPROCESSABLE_CONTENT;
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

	*pub = (struct publication){.body = body, .body_len = len};
	buf_init(&pub->name, NAME_LEN_MAX);
	buf_init(&pub->data, DATA_MAX);
	buf_init(&pub->idempotency_key, IDEMPOTENCY_TEXT_MAX);
	*why = "The body must be application/json, in UTF-8.";
	if (!is_json_type(request_content_type(req)))
		return HTTP_UNSUPPORTED_MEDIA_TYPE;
	*why = "The body must not be encoded: no Content-Encoding is known.";
	if (is_encoded(req))
		return HTTP_UNSUPPORTED_MEDIA_TYPE;
	*why = "The body is longer than this route takes.";
	if (len > settings->max)
		return HTTP_CONTENT_TOO_LARGE;
	*why = "The header Idempotency-Key must be 1 to 255 visible characters, quoted or not.";
	if ((rc = read_idempotency_key(pub, req)) > 0)
		return rc;
	*why = "There are more messages than this route takes in the time.";
	if (rc == 0 && (rc = check_rate(pub, req->route)) > 0)
		return rc;
	buf_init(&text, len + 1);
	if (rc == 0 && (rc = buf_put(&text, body, len)) == 0 && (rc = buf_putc(&text, '\0')) == 0) {
		message_init(&msg, "", 0, text.p, len);
		rc = make(pub, req, &msg, why);
		message_fini(&msg);
	}
	buf_fini(&text);
	if (rc < 0) {
		*why = rc == -EMSGSIZE ? "What the route makes of it is too long."
				       : "This server has no room for the message.";
		rc = rc == -EMSGSIZE ? HTTP_CONTENT_TOO_LARGE : HTTP_UNAVAILABLE;
	}
	return rc;
}

int
publish_result(struct publish_result *out, const struct redisReply *reply)
{
	const struct redisReply *id = reply;

	*out = (struct publish_result){
	    .why = "Redis does not answer: the message may have been published or not."};
	if (reply == NULL)
		return HTTP_UNAVAILABLE;
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
		id = reply->element[0];
	out->n_receivers = reply->integer;
	if (reply->type == REDIS_REPLY_INTEGER)
		return HTTP_ACCEPTED;
	if (id->type == REDIS_REPLY_STRING) {
		out->id = id->str;
		return HTTP_ACCEPTED;
	}
	out->why = "Another message was published with this Idempotency-Key.";
	if (reply->type == REDIS_REPLY_ERROR &&
	    strncmp(reply->str, IDEMPOTENCY_OTHER, strlen(IDEMPOTENCY_OTHER)) == 0)
		return HTTP_UNPROCESSABLE_CONTENT;
	out->why = "Redis refuses the message.";
	return HTTP_UNAVAILABLE;
}
