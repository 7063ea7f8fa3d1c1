/*
 * key.c - checks all that a route needs of a request before it is served. The values on which the
 * route's feed depends are its key: two requests with the same key share a feed.
 */
#include "route/serving.h"

/*
 * A parameter that the handler itself asks for may be missing; if it is there it must keep its
 * rule.
 */
static int
check_asked(struct serving *sv)
{
	const char *const *name = sv->req->route->handler->params;
	const char *value;
	int status = 0;

	for (; name != NULL && *name != NULL && status == 0; name++) {
		if ((value = request_raw_param(sv->req, *name)) != NULL)
			status = param_check(sv, *name, value);
	}
	return status;
}

static bool
check_channels(struct serving *sv, const struct template_value *key)
{
	const struct route *rt = sv->req->route;
	struct template *const *lists[N_SUBJECT_KINDS + 1];
	size_t n = 0;

	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if (rt->subjects[i] != NULL)
			lists[n++] = rt->subjects[i];
	}
	lists[n] = NULL;
	return authorising_check_channels(sv, lists, key);
}

/*
 * Every value is checked before it becomes part of a name in Redis. Only then are the channels'
 * names known, and it can be asked whether the token lists them.
 */
int
key_read(struct serving *sv, struct template_value key[KEY_PARAMS_MAX + 1])
{
	const struct request *req = sv->req;
	const char *name;
	size_t n;
	int status;

	if ((status = param_check_path(sv)) != 0 || (status = check_asked(sv)) != 0)
		return status;
	for (n = 0; (name = route_key_param(req->route, n)) != NULL && n < KEY_PARAMS_MAX; n++) {
		key[n] = (struct template_value){name, request_raw_param(req, name)};
		if ((status = param_check(sv, name, key[n].value)) != 0)
			return status;
	}
	key[n].name = NULL;
	return check_channels(sv, key) ? 0 : HTTP_FORBIDDEN;
}
