#ifndef SLUICE_ROUTE_QUERY_H
#define SLUICE_ROUTE_QUERY_H

/*
 * query - percent-decoding, and the name=value pairs of a query string. Pure.
 * Source: WHATWG URL, "application/x-www-form-urlencoded parsing".
 */
#include <stdbool.h>
#include <stddef.h>

enum { QUERY_PAIRS_MAX = 100, QUERY_LEN_MAX = 4096 };

struct query {
	size_t n;
	struct {
		const char *name, *value;
	} pairs[QUERY_PAIRS_MAX];
	char bytes[QUERY_LEN_MAX + 1];
};

/*
 * query_decode - as percent_decode(); and what comes out must be clean, too. Returns the length, or
 * -EINVAL.
 */
int query_decode(char *out, const char *p, size_t len, char plus);

/* query_is_clean - may it stand in a path or parameter: UTF-8, no control characters? */
bool query_is_clean(const char *p, size_t len);

/*
 * query_parse - text as it stands in QUERY_STRING. Returns 0; -EINVAL for a bad escape, control
 * characters or a name that stands twice; -E2BIG past the limits.
 */
int query_parse(struct query *q, const char *text);

const char *query_get(const struct query *q, const char *name); /* NULL if it is not there */

#endif
