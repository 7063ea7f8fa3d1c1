#ifndef SLUICE_CONFIG_KEYS_H
#define SLUICE_CONFIG_KEYS_H

/*
 * config_keys - all keys: one table for reading, checking and suggesting, and for the test that
 * conf/sluice.ini and sluice.ini(5) name them all.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sections that stand once, then those of routes. */
enum config_section { CONFIG_SERVER, CONFIG_REDIS, CONFIG_AUTH, CONFIG_ROUTE };

struct handler;

struct config_key {
	const char *name;
	/*
	 * Reads text into field, which is empty. On failure why gets one line: what is wrong and
	 * what is allowed. Returns 0, -EINVAL, -ENOMEM. NULL: the loader reads it in another way.
	 */
	int (*set)(const struct config_key *key, void *field, const char *text, char *why,
		   size_t why_len);
	size_t offset, size;  /* of the field, in struct config or struct route */
	const char *fallback; /* its default, as one would write it; NULL: there is none */
	uint64_t min, max; /* limits of a number, which is in ms or bytes for durations and sizes */
	const char *const *words; /* an enum's names, by its values; ends with NULL */
	const char *help;
	const struct handler *handler; /* the only handler that has the key; NULL: all have it */
	enum config_section section;
	unsigned allow; /* what may stand in the braces of a template */
	bool or_zero;   /* 0 is allowed besides min to max */
	bool or_empty;  /* an empty value means something, or set refuses it with a better reason */
	bool is_stream; /* a handler that gives a short answer has no use for it */
};

/*
 * config_key_nth - the n-th key, NULL past the last; keys of handlers come last. Valid until a
 * module is loaded.
 */
const struct config_key *config_key_nth(size_t n);

/*
 * config_key_find - finds a key, in upper or lower case; "param.NAME" is found for every name that
 * begins with "param.". NULL if there is none.
 */
const struct config_key *config_key_find(enum config_section section, const char *name);

/*
 * config_key_suggest - writes the nearest existing name of the section into text; NULL: none is
 * near.
 */
const char *
config_key_suggest(enum config_section section, const char *name, char *text, size_t text_len);

const char *config_section_name(enum config_section section);

#endif
