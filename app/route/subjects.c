/*
 * subjects.c - what the default handler opens: everything that the route's templates name. It
 * stands here because the hub knows no templates of a route (sluice/handler.h).
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "hub/source.h"
#include "route/request.h"

enum { NAME_MAX_LEN = 16 * 1024, PARAMS_MAX = 64 };

static int
open_all(struct feed *feed, enum subject_kind kind, struct template *const *list,
	 const struct template_scope *scope)
{
	struct buf name;
	int status = 0;

	buf_init(&name, NAME_MAX_LEN);
	for (; list != NULL && *list != NULL && status == 0; list++) {
		buf_truncate(&name, 0);
		if (template_expand(*list, scope, &name) < 0 || buf_putc(&name, '\0') < 0)
			status = HTTP_INTERNAL_ERROR;
		else
			status = feed_subject(feed, kind, name.p);
	}
	buf_fini(&name);
	return status;
}

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
	struct template_value params[PARAMS_MAX + 1];
	const struct template_scope scope = {.params = params};
	const char *param;
	int status = 0;
	size_t n;

	for (n = 0; (param = route_key_param(req->route, n)) != NULL && n < PARAMS_MAX; n++)
		params[n] = (struct template_value){param, request_param(req, param)};
	params[n].name = NULL;
	for (unsigned kind = 0; kind < N_SUBJECT_KINDS && status == 0; kind++)
		status = open_all(feed, kind, req->route->subjects[kind], &scope);
	return status;
}
