#ifndef SLUICE_CONFIG_AUTH_H
#define SLUICE_CONFIG_AUTH_H

/*
 * config_auth - the [auth] section, and the keys of a route that say who may.
 */
#include "auth/settings.h"
#include "config/source.h"
#include "route/route.h"

/* config_auth_why - what does not go together in the section, for its key *at; NULL: all does. */
const char *config_auth_why(const struct auth_settings *auth, const char **at);

/* config_auth_check_route - its credentials, and the names of who asks. The route learns what
 * [auth] says, as far as it depends on it. */
void config_auth_check_route(const struct config_source *src, struct route *rt, size_t section);

#endif
