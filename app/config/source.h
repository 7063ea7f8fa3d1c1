#ifndef SLUICE_CONFIG_SOURCE_H
#define SLUICE_CONFIG_SOURCE_H

/*
 * config_source - from what a route is made: its section and [defaults], and where faults are
 * reported. Every function that sets or checks something of a route is given it.
 */
#include "auth/settings.h"
#include "base/buf.h"
#include "config/ini.h"
#include "config/keys.h"

#define CONFIG_NO_SECTION ((size_t)-1)

struct config_source {
	const struct ini *ini;
	size_t defaults; /* the section, or CONFIG_NO_SECTION */
	struct faults *faults;
	const struct auth_settings *auth;
	bool is_auth_faulty; /* what it lacks may follow from what is wrong in it */
};

/* config_fault - what is wrong with an entry: "[section] key: why". */
void config_fault(const struct config_source *src, const struct ini_entry *e, const char *why);

/* config_note - what is allowed, and hardly meant. */
void config_note(const struct config_source *src, const struct ini_entry *e, const char *why);

/* config_fault_section - what a section lacks: "[section] why". */
void config_fault_section(const struct config_source *src, size_t section, const char *why);

/* config_find_entry - what the route says about a key, else what [defaults] says, else NULL. */
const struct ini_entry *
config_find_entry(const struct config_source *src, size_t section, const struct config_key *key);

/* config_entry - the same, by the key's name. */
const struct ini_entry *
config_entry(const struct config_source *src, size_t section, const char *key);

/* config_is_set - is there a text that is not empty? */
static inline bool
config_is_set(const char *text)
{
	return text != NULL && *text != '\0';
}

/* config_is_add - is it one of the keys add.NAME? */
bool config_is_add(const struct ini_entry *e);

/* config_adds_here - such a one of the section, or of [defaults] where the section has none of the
 * name. */
bool config_adds_here(const struct config_source *src, size_t section, const struct ini_entry *e);

/* config_put_value - "key = value", as it would stand in a file: in quotes only if it must. */
int config_put_value(struct buf *b, const char *key, const char *value);

#endif
