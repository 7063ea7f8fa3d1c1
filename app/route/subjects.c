/*
 * subjects.c - what the default handler opens: all that the route's templates name. It stands here,
 * for the hub knows no templates of a route (sluice/handler.h).
 */
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
