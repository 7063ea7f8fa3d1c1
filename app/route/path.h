#ifndef SLUICE_ROUTE_PATH_H
#define SLUICE_ROUTE_PATH_H

/*
 * path - a route's path, literal segments and {parameters}: "/jobs/{job_id}/progress". Pure.
 */
#include <stdbool.h>
#include <stddef.h>

enum { PATH_SEGMENTS_MAX = 64 };

/* A request's path, split at its slashes and then decoded, so a "%2F" does not count as a slash. */
struct segments {
	size_t n;
	const char *at[PATH_SEGMENTS_MAX];
};

struct path;

/*
 * path_compile - a parameter is a whole segment, named [A-Za-z_][A-Za-z0-9_]*, each name once.
 * On failure why gets one line. Returns 0, -EINVAL, -ENOMEM; *out is the caller's.
 */
int path_compile(struct path **out, const char *text, char *why, size_t why_len);
void path_free(struct path *p); /* takes NULL */
const char *path_text(const struct path *p);
const char *
path_param(const struct path *p, size_t n); /* the n-th parameter's name; NULL past the last */

/*
 * path_match - does the path match? Then values, with room for PATH_SEGMENTS_MAX, gets the
 * parameters' values in their order, borrowed from sg. An empty segment matches no parameter.
 */
bool path_match(const struct path *p, const struct segments *sg, const char **values);

/*
 * path_overlaps - does a match every request that b matches? Then a route with b that stands behind
 * one with a is never reached.
 */
bool path_overlaps(const struct path *a, const struct path *b);

#endif
