#include "sharing.h"

#include <stdio.h>

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
	for (size_t n = 0; (name = route_key_param(rt, n)) != NULL && len < SHARING_TEXT; n++)
		len += (size_t)snprintf(text + len, SHARING_TEXT - len, "%s %s", n > 0 ? "," : "",
					name);
	return text;
}
