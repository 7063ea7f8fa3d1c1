/*
 * expanding.c - what the templates of a route become for a request, for handlers
 * (sluice/handler.h): the subjects that a feed follows, and the text of a handler's own key. It
 * stands here because the hub does not know what a route's section says.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "hub/source.h"
#include "route/request.h"

enum { TEXT_MAX = 16 * 1024, PARAMS_MAX = 64 };

/*
 * This template makes no name in Redis, so the user and the claims are taken as the credential says
 * them, even if they break their rules.
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
	buf_init(&text, TEXT_MAX);
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
	const struct template *t =
	    handler_setting_template(&req->route->stream.handler_settings, name);

	*out = NULL;
	return t != NULL ? expand(req, t, out) : 0;
}

/*
 * The names depend on the key alone, and the feed has its values: key_read() has checked them. So
 * the request is not asked again.
 */
int
feed_subjects(struct feed *feed, const struct request *req)
{
	struct template *const *t;
	int status = 0;

	for (unsigned kind = 0; kind < N_SUBJECT_KINDS; kind++) {
		t = req->route->subjects[kind];
		for (; t != NULL && *t != NULL && status == 0; t++)
			status = feed_subject_of(feed, kind, *t);
	}
	return status;
}
