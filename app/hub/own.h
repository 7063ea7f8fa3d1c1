#ifndef SLUICE_HUB_OWN_H
#define SLUICE_HUB_OWN_H

/*
 * own - the keys that a handler has for itself, and what a route's section says of them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "logic/template.h"

/* One of them: what the section says, or else what holds without it. */
struct own {
	const struct handler_key *key;
	char *text;                /* NULL: nothing; owned, as all that follows */
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

/* Of a key by its name: NULL or 0 if the handler has no such key, or nothing was said. */
const struct own *own_find(const struct own_keys *keys, const char *name);
const char *own_text(const struct own_keys *keys, const char *name);
uint64_t own_number(const struct own_keys *keys, const char *name);
const struct template *own_template(const struct own_keys *keys, const char *name);

/*
 * own_shared - the n-th template whose parameters are part of what the subscribers of a feed share;
 * NULL past the last.
 */
const struct template *own_shared(const struct own_keys *keys, size_t n);

#endif
