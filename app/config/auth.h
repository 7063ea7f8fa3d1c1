#ifndef SLUICE_CONFIG_AUTH_H
#define SLUICE_CONFIG_AUTH_H

/*
 * config_auth - checks the [auth] section, and the keys of a route about who may use it.
 */
#include "auth/settings.h"
#include "config/source.h"
#include "route/route.h"

/*
 * config_auth_why - why keys of the section do not go together, and at which key, *at; NULL: they
 * do.
 */
const char *config_auth_why(const struct auth_settings *auth, const char **at);

/*
 * config_auth_check_route - checks the route's credentials, and its names of the user. If the route
 * accepts credentials, it is given the digest of [auth].
 */
void config_auth_check_route(const struct config_source *src, struct route *rt, size_t section);

#endif
