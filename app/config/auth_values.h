#ifndef SLUICE_CONFIG_AUTH_VALUES_H
#define SLUICE_CONFIG_AUTH_VALUES_H

/*
 * auth_values - setters for the values of [auth], and for lists of credentials; see config/values.
 */
#include "auth/settings.h"
#include "config/values.h"

/* Each of these gets the whole struct auth_settings as its field. */
CONFIG_SETTER(config_set_cookie_name);
CONFIG_SETTER(config_set_token_parameter);
CONFIG_SETTER(config_set_jwt_key_file);
CONFIG_SETTER(config_set_jwt_key);
CONFIG_SETTER(config_set_link_key_file);
CONFIG_SETTER(config_set_link_key);
CONFIG_SETTER(config_set_session_secret_file);
CONFIG_SETTER(config_set_session_user);

CONFIG_SETTER(config_set_algorithms);     /* char ** */
CONFIG_SETTER(config_set_session_format); /* const struct session_format * */
CONFIG_SETTER(config_set_session_key);    /* struct template * */
CONFIG_SETTER(config_set_auth_list);      /* struct auth_list */
CONFIG_SETTER(config_set_proxies);        /* char ** */

#endif
