#ifndef SLUICE_CONFIG_ROUTE_VALUES_H
#define SLUICE_CONFIG_ROUTE_VALUES_H

/* config_route_values - setters for the values of a route; see config/values. */
#include "config/keys.h"
#include "config/values.h"

CONFIG_SETTER(config_set_path);
CONFIG_SETTER(config_set_handler);
CONFIG_SETTER(config_set_template);  /* struct template *; NULL for an empty text */
CONFIG_SETTER(config_set_data);      /* as config_set_template(), but JSON stands as it is */
CONFIG_SETTER(config_set_templates); /* struct template **; NULL for an empty list */
CONFIG_SETTER(config_set_event);     /* as config_set_template(), for the name of an event */
CONFIG_SETTER(config_set_id);        /* likewise, for its id */
CONFIG_SETTER(config_set_event_name);
CONFIG_SETTER(config_set_origins);
CONFIG_SETTER(config_set_names);   /* char **, ends with NULL; NULL for an empty list */
CONFIG_SETTER(config_set_streams); /* struct template **, at most as many as a cursor holds */
CONFIG_SETTER(config_set_start);   /* feed_settings.start */
CONFIG_SETTER(config_set_limit);   /* struct pace_limit */
CONFIG_SETTER(config_set_command); /* struct template **; NULL for an empty text */

#endif
