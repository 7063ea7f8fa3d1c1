/*
 * subjects.c - what the default handler opens: all that the route's templates name. It stands here,
 * for the hub knows no templates of a route (sluice/handler.h).
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "route/request.h"

enum { NAME_MAX_LEN = 16 * 1024, PARAMS_MAX = 64 };

static int
open_list(struct feed *feed, const struct request *req, struct template *const *list,
	  int (*open)(struct feed *feed, const char *fmt, ...))
{
	struct template_value params[PARAMS_MAX + 1];
	struct template_scope scope = {.params = params};
	struct buf name;
	const char *param;
	size_t n;
	int status = 0;

	for (n = 0; (param = route_key_param(req->route, n)) != NULL && n < PARAMS_MAX; n++)
		params[n] = (struct template_value){param, request_param(req, param)};
	params[n].name = NULL;
	buf_init(&name, NAME_MAX_LEN);
	for (; list != NULL && *list != NULL && status == 0; list++) {
		buf_truncate(&name, 0);
		if (template_expand(*list, &scope, &name) < 0 || buf_putc(&name, '\0') < 0)
			status = HTTP_INTERNAL_ERROR;
		else
			status = open(feed, "%s", name.p);
	}
	buf_fini(&name);
	return status;
}

/*
 * This template makes no name in Redis. So the user and the claims are taken as the credential says
 * them, and need not keep a rule.
 */
static int
read_values(const struct request *req, const struct template *t,
	    struct template_value params[PARAMS_MAX + 1])
{
	const char *name, *value;
	size_t i, n = 0;

	for (i = 0; n < PARAMS_MAX && (name = template_param(t, i)) != NULL; i++) {
		if ((value = request_raw_param(req, name)) == NULL)
			continue;
		if (!identity_is_name(name) && !route_param_ok(req->route, name, value))
			return HTTP_BAD_REQUEST;
		params[n++] = (struct template_value){name, value};
	}
	params[n].name = NULL;
	return 0;
}

static int
expand(const struct request *req, const struct template *t, char **out)
{
	struct template_value params[PARAMS_MAX + 1];
	struct template_scope scope = {.params = params};
	struct buf text;
	int rc, status = read_values(req, t, params);

	if (status != 0)
		return status;
	buf_init(&text, NAME_MAX_LEN);
	if ((rc = template_expand(t, &scope, &text)) == 0 && (rc = buf_putc(&text, '\0')) == 0 &&
	    (*out = strdup(text.p)) == NULL)
		rc = -ENOMEM;
	buf_fini(&text);
	if (rc == -EMSGSIZE)
		return HTTP_BAD_REQUEST;
	return rc == 0 || rc == -ENOENT ? 0 : HTTP_INTERNAL_ERROR;
}

int
request_key_text(const struct request *req, const char *name, char **out)
{
	const struct template *t = own_template(&req->route->stream.own, name);

	*out = NULL;
	return t != NULL ? expand(req, t, out) : 0;
}

int
feed_subjects(struct feed *feed, const struct request *req)
{
	const struct route *rt = req->route;
	int status;

	if ((status = open_list(feed, req, rt->channels, feed_channel)) != 0 ||
	    (status = open_list(feed, req, rt->patterns, feed_pattern)) != 0 ||
	    (status = open_list(feed, req, rt->streams, feed_stream)) != 0)
		return status;
	return open_list(feed, req, rt->keyspace, feed_keyspace);
}
