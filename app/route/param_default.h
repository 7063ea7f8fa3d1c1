#ifndef SLUICE_ROUTE_PARAM_DEFAULT_H
#define SLUICE_ROUTE_PARAM_DEFAULT_H

/*
 * param_default - the rules of parameters for which a route has no param.NAME. No value may end a
 * channel's name early, or widen a pattern. Pure.
 */
#include <stdbool.h>

/* param_default_ok - may the parameter of this name have this value? */
bool param_default_ok(const char *name, const char *value);

/* param_default_text - the same rule, as one would write it: an extended regular expression. */
const char *param_default_text(const char *name);

#endif
