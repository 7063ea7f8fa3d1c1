#include "cli/sharing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * The user and the claims have names for Lua that begin with "?". A reader is told the names
 * without it.
 */
static const char *
shown(const char *name)
{
	return *name == '?' ? name + 1 : name;
}

static bool
is_shown_before(const struct route *rt, size_t n)
{
	const char *name = shown(route_key_param(rt, n));

	for (size_t i = 0; i < n; i++) {
		if (strcmp(shown(route_key_param(rt, i)), name) == 0)
			return true;
	}
	return false;
}

const char *
sharing_text(const struct route *rt, char text[SHARING_TEXT])
{
	const char *name;
	size_t len;

	if (rt->handler->answer != NULL)
		return "-";
	if (rt->handler->is_private)
		return "none";
	if (route_key_param(rt, 0) == NULL)
		return "all";
	len = (size_t)snprintf(text, SHARING_TEXT, "those with the same");
	for (size_t n = 0; (name = route_key_param(rt, n)) != NULL && len < SHARING_TEXT; n++) {
		if (!is_shown_before(rt, n))
			len += (size_t)snprintf(text + len, SHARING_TEXT - len, "%s %s",
						n > 0 ? "," : "", shown(name));
	}
	return text;
}
