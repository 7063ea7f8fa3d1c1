#ifndef SLUICE_CONFIG_KEYS_H
#define SLUICE_CONFIG_KEYS_H

/*
 * config_keys - every key that exists: one table for parsing, checking, suggesting, and for the
 * test that conf/sluice.ini and sluice.ini(5) name them all.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sections of which there is one, then those of routes. */
enum config_section { CONFIG_SERVER, CONFIG_REDIS, CONFIG_AUTH, CONFIG_ROUTE };

struct handler;

struct config_key {
	const char *name;
	/*
	 * Reads text into field, which is empty. On failure why gets one line: what is wrong
	 * and what is allowed. Returns 0, -EINVAL, -ENOMEM. NULL: the loader deals with it.
	 */
	int (*set)(const struct config_key *key, void *field, const char *text, char *why,
		   size_t why_len);
	size_t offset, size; /* of the field, in struct config or struct route */
	const char
	    *fallback;     /* what holds without the key, as it would be written; NULL: nothing */
	uint64_t min, max; /* of a number, in ms or bytes if it is one of those */
	const char *const *words; /* an enum's names, by its values; ends with NULL */
	const char *help;
	const struct handler *handler; /* that has it for itself; NULL: none */
	enum config_section section;
	unsigned allow; /* what may stand in the braces of a template */
	bool or_zero;   /* 0 is allowed besides min to max */
	bool or_empty;  /* an empty value means something, or set refuses it with a better reason */
	bool is_stream; /* says nothing to a handler that gives a short answer */
};

/* config_key_nth - NULL past the last; those of handlers come last. Valid until a module is loaded.
 */
const struct config_key *config_key_nth(size_t n);

/*
 * config_key_find - upper and lower case are the same; "param.NAME" is found for every name that
 * begins with "param.". NULL if there is none.
 */
const struct config_key *config_key_find(enum config_section section, const char *name);

/* config_key_suggest - the nearest name of the section for one that does not exist, in text; or
 * NULL. */
const char *
config_key_suggest(enum config_section section, const char *name, char *text, size_t text_len);

const char *config_section_name(enum config_section section);

#endif
