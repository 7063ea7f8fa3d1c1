/*
 * param.c - each parameter of a request must keep its rule, because a value that breaks it could
 * name another user's channel.
 */
#include <stdio.h>

#include "route/serving.h"

int
param_check(struct serving *sv, const char *name, const char *value)
{
	bool is_who = identity_is_name(name);
	int status = is_who ? HTTP_FORBIDDEN : HTTP_BAD_REQUEST;
	char detail[1024];

	if (*name == '?')
		return 0; /* for Lua, where it becomes no name */
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
param_check_path(struct serving *sv)
{
	const struct request *req = sv->req;
	const char *name;
	int status;

	for (size_t n = 0; (name = path_param(req->route->path, n)) != NULL; n++) {
		if ((status = param_check(sv, name, req->values[n])) != 0)
			return status;
	}
	return 0;
}
