#ifndef SLUICE_ROUTE_ROUTE_H
#define SLUICE_ROUTE_ROUTE_H

/*
 * route - one [route NAME] section, compiled: a path, where its messages come
 * from, what is done with them. The configuration fills it in; site.h serves it.
 */
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "hub/feed.h"
#include "logic/template.h"
#include "route/path.h"

struct site;

struct param_rule {
	char *name;
	char *text;    /* as configured, without the anchors */
	regex_t regex; /* POSIX extended, anchored to the whole value, REG_NOSUB */
};

struct route {
	char *name;
	struct path *path;
	const struct handler *handler;
	struct template **channels, **patterns; /* each ends with NULL, or is NULL */
	struct param_rule *rules;               /* for the parameters that have one of their own */
	size_t n_rules;
	struct feed_settings stream; /* its templates and strings belong to the route */
	char **cors_origins;         /* NULL-terminated; "*" alone: any; NULL: none */
	bool cors_credentials;
	char *source; /* every key with its effective value, a line each: equal text, equal route */
	struct feed_class feeds; /* site.h initialises it */
	bool is_serving;         /* feeds is initialised */
	struct site *site;       /* that serves it */
};

/* route_free - takes NULL and half-built routes; feeds must not be in use any more. */
void route_free(struct route *rt);

/*
 * route_param_ok - does the value keep the route's rule for this parameter: its own, or
 * [A-Za-z0-9_.-]{1,128}?
 */
bool route_param_ok(const struct route *rt, const char *name, const char *value);

/* route_rule - the rule that the route's section gives the parameter; NULL: the default. */
const struct param_rule *route_rule(const struct route *rt, const char *name);

/*
 * route_key_param - the n-th parameter on which the route's feeds depend, each once, NULL past the
 * last: those that its templates name, and for a handler that opens its own subjects all of its
 * path's.
 */
const char *route_key_param(const struct route *rt, size_t n);

#endif
