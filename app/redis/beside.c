#include "redis/beside.h"

#include <stdio.h>
#include <string.h>

#include "redis/slot.h"

/* If a name has a brace but no hash tag, no tag can put another name into the same slot. */
static bool
needs_tag(const struct redis_settings *rs, const char *name)
{
	return rs->is_cluster && !slot_has_tag(rs->prefix, strlen(rs->prefix)) &&
	       !slot_has_tag(name, strlen(name)) && strchr(name, '}') == NULL &&
	       strpbrk(rs->prefix, "{}") == NULL;
}

char *
redis_beside(const struct redis_settings *rs, const char *name, const char *suffix)
{
	bool is_tagged = needs_tag(rs, name);
	char *text;

	return asprintf(&text, "%s%s%s%s%s", is_tagged ? "{" : "", rs->prefix, name,
			is_tagged ? "}" : "", suffix) < 0
		   ? NULL
		   : text;
}

const char *
redis_publish_verb(const struct redis_settings *rs)
{
	return rs->is_sharded ? "SPUBLISH" : "PUBLISH";
}
