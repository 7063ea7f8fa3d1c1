#ifndef SLUICE_CONFIG_VALUES_H
#define SLUICE_CONFIG_VALUES_H

/*
 * config_values - the text of a value into its field: the `set` functions of the table of keys.
 */
#include "config/keys.h"

#define CONFIG_SETTER(name) \
	int name(const struct config_key *key, void *field, const char *text, char *why, \
		 size_t why_len)

/* What they all say of a value that is wrong, and how much of it they quote. */
#define CONFIG_REFUSE(...) (snprintf(why, why_len, __VA_ARGS__), -EINVAL)
enum { CONFIG_QUOTED_MAX = 80 };

int config_copy(void *field, const char *text); /* into a char *; 0, -ENOMEM */

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
CONFIG_SETTER(config_set_password_file);

#endif
