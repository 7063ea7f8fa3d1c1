#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logger.h"
#include "redis/beside.h"
#include "redis/command.h"
#include "redis/group.h"
#include "redis/stream_id.h"
#include "route/serving.h"

enum { IDS_MAX = 1000, NAMES_LEN_MAX = 8192 };

static void
on_acked(void *arg, const redisReply *reply)
{
	struct deferred *deferred = arg;

	if (reply != NULL && reply->type == REDIS_REPLY_INTEGER) {
		deferred_begin(deferred, HTTP_OK, "application/json");
		answer_printf(deferred->out, "{\"acked\":%lld}\n", reply->integer);
		deferred_send(deferred);
	} else {
		deferred_refuse(deferred, HTTP_UNAVAILABLE,
				reply == NULL
				    ? "Redis does not answer: they may be acknowledged or not."
				    : "Redis refuses to acknowledge them.");
	}
	deferred_fini(deferred);
	free(deferred);
}

/*
 * Splits "ID,ID" in place: commas become NULs. Returns how many there are; 0 if one of them is no
 * ID.
 */
static int
split(char *text, const char **ids)
{
	struct stream_id id;
	int n = 0;
	char *p;

	for (p = text; p != NULL; n++) {
		char *one = strsep(&p, ",");

		if (n == IDS_MAX || !stream_id_parse(&id, one, strlen(one)))
			return 0;
		ids[n] = one;
	}
	return n;
}

/*
 * Appends the names of the route's stream, of its channel of acknowledgements and of its group,
 * each with its NUL.
 */
static int
put_names(struct serving *sv, const struct template_value *key, struct buf *b, size_t at[3])
{
	const struct route *rt = sv->req->route;
	const struct template *group =
	    handler_setting_template(&rt->stream.handler_settings, "group");
	const struct template_scope scope = {.params = key, .channel = ""};
	const char *prefix = hub_prefix(sv->in->hub);
	int rc = 0, i;

	for (i = 0; i < 2 && rc == 0; i++) {
		at[i] = b->len;
		if ((rc = buf_puts(b, prefix)) == 0)
			rc = template_expand(rt->subjects[SUBJECT_STREAM][0], &scope, b);
		if (rc == 0 && i == 1)
			rc = buf_puts(b, GROUP_ACKED_SUFFIX);
		if (rc == 0)
			rc = buf_putc(b, '\0');
	}
	at[2] = b->len;
	if (rc == 0 && (rc = template_expand(group, &scope, b)) == 0)
		rc = buf_putc(b, '\0');
	return rc;
}

static bool
tell_redis(struct serving *sv, const struct template_value *key, const char **ids, int n,
	   struct deferred *deferred)
{
	const char *argv[7 + IDS_MAX] = {"EVAL", GROUP_ACK_SCRIPT, "1"};
	struct buf names;
	size_t at[3];
	bool is_sent;

	buf_init(&names, NAMES_LEN_MAX);
	is_sent = hub_command(sv->in->hub) != NULL && put_names(sv, key, &names, at) == 0;
	if (is_sent) {
		argv[3] = names.p + at[0];
		argv[4] = names.p + at[2];
		memcpy(argv + 5, ids, (size_t)n * sizeof(*ids));
		argv[5 + n] = names.p + at[1];
		argv[6 + n] = redis_publish_verb(hub_redis(sv->in->hub));
		is_sent = command_send(hub_command(sv->in->hub), on_acked, deferred,
				       (struct resp_words){7 + n, argv, NULL}) == 0;
	}
	buf_fini(&names);
	return is_sent;
}

/*
 * Whoever may follow the queue may acknowledge its entries, so the credentials are the same.
 * Without the parameter it is a message, if the path takes any.
 */
static bool
takes(const struct request *req)
{
	return req->method == METHOD_POST && req->route->handler->kind == HANDLER_QUEUE &&
	       (request_raw_param(req, "ack") != NULL || !route_can_publish(req->route));
}

static void
serve(struct serving *sv)
{
	struct template_value key[KEY_PARAMS_MAX + 1];
	const char *ids[IDS_MAX];
	struct deferred *deferred;
	const char *param;
	char *text;
	int n;

	if (key_read(sv, key) != 0)
		return;
	param = request_raw_param(sv->req, "ack");
	text = strdup(param != NULL ? param : "");
	n = text != NULL ? split(text, ids) : 0;
	deferred = calloc(1, sizeof(*deferred));
	if (text == NULL || deferred == NULL || deferred_init(deferred, sv) < 0) {
		free(deferred);
		serving_refuse(sv, HTTP_UNAVAILABLE, "This server has no room for it.");
	} else if (n == 0) {
		deferred_fini(deferred);
		free(deferred);
		serving_refuse(
		    sv, HTTP_BAD_REQUEST,
		    "The parameter ack must be IDs of entries, at most 1000, with commas "
		    "between.");
	} else if (!tell_redis(sv, key, ids, n, deferred)) {
		deferred_fini(deferred);
		free(deferred);
		serving_refuse(sv, HTTP_UNAVAILABLE, "Redis is away: nothing was acknowledged.");
	} else {
		deferred_expect(deferred, sv->sub);
	}
	free(text);
}

const struct service service_acking = {
    .name = "acking",
    .has_effect = true,
    .tells_redis = true,
    .takes = takes,
    .auth = route_auth,
    .serve = serve,
};
