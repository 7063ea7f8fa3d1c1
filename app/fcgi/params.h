#ifndef SLUICE_FCGI_PARAMS_H
#define SLUICE_FCGI_PARAMS_H

/*
 * params - the CGI variables of one request (RFC 3875, 4.1), decoded and checked.
 *
 * Names are unique: a request that names a variable twice is refused where it
 * is decoded, since libraries and servers disagree about which one counts.
 */
#include <stddef.h>

struct params {
	char **envp; /* "NAME=value", ends with NULL */
};

/*
 * params_get - the variable's value; NULL if it is absent or empty, because nginx sends what it
 * does not know as empty. Borrowed from p.
 */
const char *params_get(const struct params *p, const char *name);

#endif
