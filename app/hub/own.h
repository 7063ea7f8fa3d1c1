#ifndef SLUICE_HUB_OWN_H
#define SLUICE_HUB_OWN_H

/*
 * own - keys that a handler adds to a section, and their values in one route.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "logic/template.h"

/* One such key: its value in the section, or else its default. */
struct own {
	const struct handler_key *key;
	char *text;                /* NULL: there is none. This and what follows is owned */
	struct template *template; /* of HANDLER_TEMPLATE and HANDLER_SHARED */
	struct template **words;   /* of HANDLER_COMMAND; ends with NULL */
	uint64_t number;
};

struct own_keys {
	struct own *v;
	size_t n;
};

void own_clear(struct own *own); /* free what it owns */
void own_fini(struct own_keys *keys);

/* The value of a key by its name. NULL or 0: the handler has no such key, or it has no value. */
const struct own *own_find(const struct own_keys *keys, const char *name);
const char *own_text(const struct own_keys *keys, const char *name);
uint64_t own_number(const struct own_keys *keys, const char *name);
const struct template *own_template(const struct own_keys *keys, const char *name);

/*
 * own_shared - the n-th template whose parameters are part of the feed's key; NULL past the last.
 */
const struct template *own_shared(const struct own_keys *keys, size_t n);

#endif
