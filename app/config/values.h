#ifndef SLUICE_CONFIG_VALUES_H
#define SLUICE_CONFIG_VALUES_H

/*
 * config_values - the text of a value into its field: the `set` functions of the table of keys.
 */
#include "config/keys.h"

#define CONFIG_SETTER(name) \
	int name(const struct config_key *key, void *field, const char *text, char *why, \
		 size_t why_len)

CONFIG_SETTER(config_set_text);     /* char * */
CONFIG_SETTER(config_set_number);   /* any unsigned type */
CONFIG_SETTER(config_set_duration); /* the same, in ms */
CONFIG_SETTER(config_set_size);     /* the same, in bytes */
CONFIG_SETTER(config_set_word);     /* an enum */
CONFIG_SETTER(config_set_yes_no);   /* bool */

CONFIG_SETTER(config_set_listen);
CONFIG_SETTER(config_set_mode);
CONFIG_SETTER(config_set_user);
CONFIG_SETTER(config_set_group);
CONFIG_SETTER(config_set_owner);
CONFIG_SETTER(config_set_owner_group);
CONFIG_SETTER(config_set_base);
CONFIG_SETTER(config_set_workers);
CONFIG_SETTER(config_set_log);

CONFIG_SETTER(config_set_urls); /* field is the struct redis_settings */
CONFIG_SETTER(config_set_readable_file);

CONFIG_SETTER(config_set_path);
CONFIG_SETTER(config_set_handler);
CONFIG_SETTER(config_set_template);  /* struct template *; NULL for an empty text */
CONFIG_SETTER(config_set_data);      /* as config_set_template(), but JSON stands as it is */
CONFIG_SETTER(config_set_templates); /* struct template **; NULL for an empty list */
CONFIG_SETTER(config_set_event);     /* as config_set_template(), for the name of an event */
CONFIG_SETTER(config_set_event_name);
CONFIG_SETTER(config_set_origins);
CONFIG_SETTER(config_set_names);   /* char **, ends with NULL; NULL for an empty list */
CONFIG_SETTER(config_set_streams); /* struct template **, at most as many as a cursor holds */
CONFIG_SETTER(config_set_start);   /* feed_settings.start */
CONFIG_SETTER(config_set_limit);   /* struct pace_limit */
CONFIG_SETTER(config_set_command); /* struct template **; NULL for an empty text */

#endif
