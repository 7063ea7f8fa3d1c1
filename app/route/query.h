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
		const char *name, *value; /* value NULL: it stood twice */
	} pairs[QUERY_PAIRS_MAX];
	size_t used; /* of bytes */
	char bytes[QUERY_LEN_MAX + 1];
};

/*
 * query_decode - as percent_decode(); and what comes out must be clean, too. Returns the length, or
 * -EINVAL.
 */
int query_decode(char *out, const char *p, size_t len, char plus);

/* query_is_clean - may it stand in a path or parameter: UTF-8, no control characters? */
bool query_is_clean(const char *p, size_t len);

/* Is it the name of a parameter that counts? */
typedef bool (*query_name_fn)(const void *ctx, const char *name);

/*
 * query_parse - text as it stands in QUERY_STRING. A parameter that counts must stand once, be
 * well-formed and find room. Others are the client's own business: what of them is not so is left
 * out. Returns 0; -EINVAL for a bad escape, control characters or a name that stands twice; -E2BIG
 * past the limits.
 */
int query_parse(struct query *q, const char *text, query_name_fn is_named, const void *ctx);

/*
 * query_find_last - the last value that is not empty of a parameter for whose name is_named() is
 * true, as it stands in text; false if there is none.
 */
bool query_find_last(const char *text, query_name_fn is_named, const void *ctx, const char **value,
		     size_t *len);

/* query_get - NULL if it is not there, or is none that counts and stood twice. */
const char *query_get(const struct query *q, const char *name);

#endif
