#ifndef SLUICE_HUB_HANDLER_SETTING_H
#define SLUICE_HUB_HANDLER_SETTING_H

/*
 * handler_setting - keys that a handler adds to a section, and their values in one route.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/handler.h>

#include "logic/template.h"

/* One such key: its value in the section, or else its default. */
struct handler_setting {
	const struct handler_key *key;
	char *text;                /* NULL: there is none. This and what follows is owned */
	struct template *template; /* of HANDLER_TEMPLATE and HANDLER_SHARED */
	struct template **words;   /* of HANDLER_COMMAND; ends with NULL */
	uint64_t number;
};

struct handler_settings {
	struct handler_setting *v;
	size_t n;
};

void handler_setting_clear(struct handler_setting *own); /* free what it owns */
void handler_settings_fini(struct handler_settings *hs);

/* The value of a key by its name. NULL or 0: the handler has no such key, or it has no value. */
const struct handler_setting *
handler_setting_find(const struct handler_settings *hs, const char *name);
const char *handler_setting_text(const struct handler_settings *hs, const char *name);
uint64_t handler_setting_number(const struct handler_settings *hs, const char *name);
const struct template *
handler_setting_template(const struct handler_settings *hs, const char *name);

/*
 * handler_setting_shared - the n-th template whose parameters are part of the feed's key; NULL past
 * the last.
 */
const struct template *handler_setting_shared(const struct handler_settings *hs, size_t n);

#endif
