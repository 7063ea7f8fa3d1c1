/*
 * mux_post.c - a POST that adds subscriptions to a mux connection, or removes some. It may come to
 * any worker. The worker with the connection hears of it by the channel that the secret names.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "logic/message.h"
#include "redis/beside.h"
#include "redis/command.h"
#include "route/mux.h"
#include "route/serving.h"

enum { CONTROL_MAX = 64 * 1024 };

#define NO_CHANGE "The body must be a JSON object with add, remove, or both: lists."

/* A change that the worker with the connection must be told. */
struct change {
	struct deferred deferred;
	bool is_fault; /* the body asks for no change */
};

static void
on_told(void *arg, const redisReply *reply)
{
	struct change *change = arg;
	struct deferred *deferred = &change->deferred;

	if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
		deferred_refuse(deferred, HTTP_UNAVAILABLE, "Redis does not answer.");
	} else if (reply->integer == 0) {
		deferred_refuse(deferred, HTTP_NOT_FOUND, "There is no such connection.");
	} else if (change->is_fault) {
		deferred_refuse(deferred, HTTP_BAD_REQUEST, NO_CHANGE);
	} else {
		deferred_begin(deferred, HTTP_ACCEPTED, "application/json");
		answer_printf(deferred->out, "{}\n");
		deferred_send(deferred);
	}
	deferred_fini(deferred);
	free(change);
}

/* Reads the body, which may hold any bytes; NULL: it is no JSON object. */
static struct json_object *
read_control(const char *body, size_t len)
{
	struct json_object *control = NULL;
	struct message msg;
	struct buf copy;

	buf_init(&copy, CONTROL_MAX + 1);
	if (buf_put(&copy, body, len) == 0 && buf_putc(&copy, '\0') == 0) {
		message_init(&msg, "", 0, copy.p, len);
		control = message_copy(&msg);
		message_fini(&msg);
	}
	buf_fini(&copy);
	return control;
}

/* Are the members lists, and is there at least one? */
static bool
changes(struct json_object *control)
{
	struct json_object *add = NULL, *remove = NULL;
	bool has_add = json_object_object_get_ex(control, "add", &add);
	bool has_remove = json_object_object_get_ex(control, "remove", &remove);

	return (has_add || has_remove) && (!has_add || json_object_is_type(add, json_type_array)) &&
	       (!has_remove || json_object_is_type(remove, json_type_array));
}

/* Returns the body, with the user added; NULL: it is no object of this kind. */
static char *
make_control(const struct request *req, const char *body, size_t len, bool *is_fault)
{
	struct json_object *control = read_control(body, len);
	char *text;

	if (control == NULL)
		return NULL;
	if ((*is_fault = !changes(control))) {
		json_object_put(control);
		/* The client must first learn that there is no such connection. */
		return strdup("{}");
	}
	json_object_object_del(control, "user");
	if (req->identity->user != NULL)
		json_object_object_add(control, "user",
				       json_object_new_string(req->identity->user));
	text = strdup(json_object_to_json_string_ext(control, JSON_C_TO_STRING_PLAIN));
	json_object_put(control);
	return text;
}

static bool
is_secret(const char *text)
{
	return strlen(text) == MUX_SECRET_TEXT - 1 &&
	       strspn(text, "0123456789abcdef") == MUX_SECRET_TEXT - 1;
}

static bool
tell_holder(struct serving *sv, struct change *change, const char *secret, const char *control)
{
	char channel[1024];

	snprintf(channel, sizeof(channel), "%s" MUX_CHANNEL "%s", hub_prefix(sv->in->hub), secret);
	return hub_command(sv->in->hub) != NULL &&
	       command_send(
		   hub_command(sv->in->hub), on_told, change,
		   RESP_WORDS(redis_publish_verb(hub_redis(sv->in->hub)), channel, control)) == 0;
}

static bool
takes(const struct request *req)
{
	return req->method == METHOD_POST && req->route->handler->kind == HANDLER_MUX;
}

static void
serve(struct serving *sv)
{
	const char *secret = query_get(&sv->req->query, "connection");
	struct change *change = calloc(1, sizeof(*change));
	bool is_fault = false;
	char *control = sv->body_len <= CONTROL_MAX
			    ? make_control(sv->req, sv->body, sv->body_len, &is_fault)
			    : NULL;

	if (sv->body_len > CONTROL_MAX) {
		serving_refuse(sv, HTTP_CONTENT_TOO_LARGE, "The body is longer than 64 KiB.");
	} else if (control == NULL) {
		serving_refuse(sv, HTTP_BAD_REQUEST, NO_CHANGE);
	} else if (secret == NULL || !is_secret(secret)) {
		serving_refuse(sv, HTTP_BAD_REQUEST,
			       "The parameter connection must be what mux-open has told.");
	} else if (change == NULL || deferred_init(&change->deferred, sv) < 0) {
		serving_refuse(sv, HTTP_UNAVAILABLE, "This server has no room for it.");
	} else {
		change->is_fault = is_fault;
		if (tell_holder(sv, change, secret, control)) {
			deferred_expect(&change->deferred, sv->sub);
			change = NULL;
		} else {
			deferred_fini(&change->deferred);
			serving_refuse(sv, HTTP_UNAVAILABLE, "Redis is away: nothing was changed.");
		}
	}
	free(change);
	free(control);
}

const struct service service_mux_post = {
    .name = "mux",
    .has_effect = true,
    .tells_redis = true,
    .takes = takes,
    .auth = route_auth,
    .serve = serve,
};
