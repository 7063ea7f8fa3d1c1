/*
 * key.c - the parameters of a request: each keeps its rule, for one that breaks it could name
 * another's channel; and those on which the route's feed depends are its key.
 */
#include <stdio.h>

#include "route/serving.h"

int
key_check(struct serving *sv, const char *name, const char *value)
{
	bool is_who = identity_is_name(name);
	int status = is_who ? HTTP_FORBIDDEN : HTTP_BAD_REQUEST;
	char detail[1024];

	if (*name == '?')
		return 0; /* for Lua, which makes no name of it */
	if (value != NULL && route_param_ok(sv->req->route, name, value))
		return 0;
	if (value == NULL && is_who)
		snprintf(detail, sizeof(detail), "The credential %s %s.",
			 identity_has_other(sv->who, name) ? "says neither a text nor an integer as"
							   : "says no",
			 name);
	else if (value == NULL)
		snprintf(detail, sizeof(detail), "The parameter %s is missing.", name);
	else
		snprintf(detail, sizeof(detail), "The %s%s must match %s.",
			 is_who ? "" : "parameter ", name, route_rule_text(sv->req->route, name));
	serving_refuse(sv, status, detail);
	return status;
}

int
key_check_path(struct serving *sv)
{
	const struct request *req = sv->req;
	const char *name;
	int status;

	for (size_t n = 0; (name = path_param(req->route->path, n)) != NULL; n++) {
		if ((status = key_check(sv, name, req->values[n])) != 0)
			return status;
	}
	return 0;
}

/* Of what a handler asks for by itself, none need be there. */
static int
check_asked(struct serving *sv)
{
	const char *const *name = sv->req->route->handler->params;
	const char *value;
	int status = 0;

	for (; name != NULL && *name != NULL && status == 0; name++) {
		if ((value = request_raw_param(sv->req, *name)) != NULL)
			status = key_check(sv, *name, value);
	}
	return status;
}

static bool
check_channels(struct serving *sv, const struct template_value *key)
{
	const struct route *rt = sv->req->route;
	struct template *const *all[] = {rt->channels, rt->patterns, rt->streams, rt->keyspace};
	struct template *const *lists[5];
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		if (all[i] != NULL)
			lists[n++] = all[i];
	}
	lists[n] = NULL;
	return authorising_check_channels(sv, lists, key);
}

int
key_read(struct serving *sv, struct template_value key[KEY_PARAMS_MAX + 1])
{
	const struct request *req = sv->req;
	const char *name;
	size_t n;
	int status;

	if ((status = key_check_path(sv)) != 0 || (status = check_asked(sv)) != 0)
		return status;
	for (n = 0; (name = route_key_param(req->route, n)) != NULL && n < KEY_PARAMS_MAX; n++) {
		key[n] = (struct template_value){name, request_raw_param(req, name)};
		if ((status = key_check(sv, name, key[n].value)) != 0)
			return status;
	}
	key[n].name = NULL;
	return check_channels(sv, key) ? 0 : HTTP_FORBIDDEN;
}
