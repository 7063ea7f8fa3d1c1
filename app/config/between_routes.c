#include "config/between_routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_LEN = 512 };

struct routes {
	const struct config_source *src;
	const struct config_built *all;
	size_t n;
};

static const struct ini_entry *
entry(const struct routes *rs, size_t n, const char *key)
{
	return config_entry(rs->src, rs->all[n].section, key);
}

/* Paths */

/* A request is given to the first route that matches it. */
static void
check_reach(const struct routes *rs, size_t earlier, size_t later)
{
	const struct route *first = rs->all[earlier].rt, *rt = rs->all[later].rt;
	const struct ini_entry *e = entry(rs, later, "path");
	char why[WHY_LEN];

	if (first->path == NULL || rt->path == NULL || e == NULL ||
	    !path_overlaps(first->path, rt->path))
		return;
	snprintf(why, sizeof(why), "%s is never reached: [route %s] serves %s and stands before it",
		 path_text(rt->path), first->name, path_text(first->path));
	config_fault(rs->src, e, why);
}

/* The base is taken off first: written out in the path it would have to stand there twice. */
static void
check_base(const struct routes *rs, size_t n, const char *base)
{
	const struct ini_entry *e = entry(rs, n, "path");
	size_t len = base != NULL ? strlen(base) : 0;
	char why[WHY_LEN];
	const char *path;

	if (len == 0 || rs->all[n].rt->path == NULL || e == NULL)
		return;
	path = path_text(rs->all[n].rt->path);
	if (strncmp(path, base, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return;
	snprintf(why, sizeof(why),
		 "%s begins with base = %s, which is taken off first, so it would be served at "
		 "%s%s; did you mean \"%s\"?",
		 path, base, base, path, path[len] != '\0' ? path + len : "/");
	config_fault(rs->src, e, why);
}

/* Dead letters */

static bool
param_ok(const void *ctx, const char *name, const char *value)
{
	return route_param_ok(ctx, name, value);
}

/* Could an entry that the one queue gives up become one of the other's stream? */
static bool
feeds(const struct routes *rs, size_t from, size_t to)
{
	const struct ini_entry *dead = entry(rs, from, "dead_letter"),
			       *stream = entry(rs, to, "streams");
	const struct route *rt = rs->all[to].rt;
	struct template *const *streams = rt->subjects[SUBJECT_STREAM];

	if (handler_setting_text(&rs->all[from].rt->stream.handler_settings, "dead_letter") ==
		NULL ||
	    handler_setting_text(&rt->stream.handler_settings, "dead_letter") == NULL ||
	    dead == NULL || stream == NULL || streams == NULL)
		return false;
	if (strchr(dead->value, '{') == NULL)
		return template_matches(streams[0], dead->value, param_ok, rt);
	return strcmp(dead->value, stream->value) == 0;
}

/* From n on, along dead_letter, to first? seen has those that were looked at. */
static bool
leads_to(const struct routes *rs, size_t n, size_t first, bool *seen)
{
	seen[n] = true;
	for (size_t i = 0; i < rs->n; i++) {
		if (!feeds(rs, n, i))
			continue;
		if (i == first || (!seen[i] && leads_to(rs, i, first, seen)))
			return true;
	}
	return false;
}

static int
check_dead_letters(const struct routes *rs)
{
	bool *seen = calloc(rs->n + 1, sizeof(*seen));

	if (seen == NULL)
		return -ENOMEM;
	for (size_t n = 0; n < rs->n; n++) {
		memset(seen, 0, rs->n * sizeof(*seen));
		if (leads_to(rs, n, n, seen))
			config_fault(rs->src, entry(rs, n, "dead_letter"),
				     "it leads back to the queue's own stream: entries that nobody "
				     "can handle would be copied without end; name a stream that "
				     "no such queue reads");
	}
	free(seen);
	return 0;
}

int
config_check_between_routes(const struct config_source *src, const struct config_built *all,
			    size_t n, const char *base)
{
	const struct routes rs = {src, all, n};

	for (size_t later = 0; later < n; later++) {
		check_base(&rs, later, base);
		for (size_t earlier = 0; earlier < later; earlier++)
			check_reach(&rs, earlier, later);
	}
	return check_dead_letters(&rs);
}
