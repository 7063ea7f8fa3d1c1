#ifndef SLUICE_ROUTE_QUERY_H
#define SLUICE_ROUTE_QUERY_H

/*
 * query - percent-decoding, and the name=value pairs of a query string. Pure.
 * Source: WHATWG URL, "application/x-www-form-urlencoded parsing".
 */
#include <stdbool.h>
#include <stddef.h>

enum { QUERY_PAIRS_MAX = 100, QUERY_LEN_MAX = 4096, QUERY_NAME_MAX = 512 };

struct query {
	size_t n;
	struct {
		const char *name, *value; /* value NULL: the name stood twice */
	} pairs[QUERY_PAIRS_MAX];
	size_t used; /* of bytes */
	char bytes[QUERY_LEN_MAX + 1];
};

/*
 * query_decode - as percent_decode(), but the result must be clean as well. Returns the length, or
 * -EINVAL.
 */
int query_decode(char *out, const char *p, size_t len, char plus);

/*
 * query_is_clean - may it stand in a path or parameter? That is UTF-8 without control characters.
 */
bool query_is_clean(const char *p, size_t len);

/* Does the route use the parameter of this name? */
typedef bool (*query_name_fn)(const void *ctx, const char *name);

/*
 * query_parse - text is as in QUERY_STRING. A parameter that the route uses must stand once, be
 * well-formed and find room. Others belong to the client: those that are malformed or repeated are
 * left out. Returns 0; -EINVAL for a bad escape, control characters or a repeated name; -E2BIG past
 * the limits.
 */
int query_parse(struct query *q, const char *text, query_name_fn is_named, const void *ctx);

/*
 * query_find_last - the last value that is not empty of a parameter whose name is_named() accepts,
 * still encoded; false if there is none.
 */
bool query_find_last(const char *text, query_name_fn is_named, const void *ctx, const char **value,
		     size_t *len);

/*
 * query_get - the value; NULL if it is not there, or if the route does not use it and it stood
 * twice.
 */
const char *query_get(const struct query *q, const char *name);

#endif
