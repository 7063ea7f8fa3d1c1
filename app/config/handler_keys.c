#include "config/handler_keys.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "config/route_values.h"
#include "config/values.h"
#include "redis/subject.h"
#include "route/handlers.h"
#include "route/section.h"

enum { WHY_LEN = 512 };

/* The n-th key of the handler: its own first, then those of its kind. NULL past the last. */
static const struct handler_key *
nth_key(const struct handler *h, size_t n)
{
	const struct handler *of_kind = h->kind != HANDLER_STREAM ? handlers_of_kind(h->kind) : h;
	const struct handler_key *key;

	for (key = h->keys; key != NULL && key->name != NULL; key++) {
		if (n-- == 0)
			return key;
	}
	for (key = of_kind != h ? of_kind->keys : NULL; key != NULL && key->name != NULL; key++) {
		if (n-- == 0)
			return key;
	}
	return NULL;
}

static int
set_yes_no(const struct config_key *key, void *field, const char *text, char *why, size_t why_len)
{
	bool is_yes = false;
	int rc = config_set_yes_no(key, &is_yes, text, why, why_len);

	*(uint64_t *)field = is_yes;
	return rc;
}

/* text becomes setting->text. The words are one text, because a handler has no table of them. */
static int
set_word(const struct config_key *as, void *field, const char *text, char *why, size_t why_len)
{
	const struct handler_setting *setting =
	    (const void *)((const char *)field - offsetof(struct handler_setting, number));
	const char *p = setting->key->words, *word;
	size_t len;

	(void)as;
	while ((word = strings_next(&p, &len)) != NULL) {
		if (strlen(text) == len && memcmp(word, text, len) == 0)
			return 0;
	}
	snprintf(why, why_len, "\"%.40s\" is none of: %s", text, setting->key->words);
	return -EINVAL;
}

/* For each kind of value: how it is read, and into which field. */
static const struct {
	int (*set)(const struct config_key *key, void *field, const char *text, char *why,
		   size_t why_len);
	size_t offset;
	unsigned allow;
} kinds[] = {
    [HANDLER_TEXT] = {NULL, 0, 0},
    [HANDLER_NUMBER] = {config_set_number, offsetof(struct handler_setting, number), 0},
    [HANDLER_DURATION] = {config_set_duration, offsetof(struct handler_setting, number), 0},
    [HANDLER_SIZE] = {config_set_size, offsetof(struct handler_setting, number), 0},
    [HANDLER_YES_NO] = {set_yes_no, offsetof(struct handler_setting, number), 0},
    [HANDLER_WORD] = {set_word, offsetof(struct handler_setting, number), 0},
    [HANDLER_TEMPLATE] = {config_set_template, offsetof(struct handler_setting, template),
			  TEMPLATE_PARAMS},
    [HANDLER_SHARED] = {config_set_template, offsetof(struct handler_setting, template),
			TEMPLATE_PARAMS},
    [HANDLER_COMMAND] = {config_set_command, offsetof(struct handler_setting, words),
			 TEMPLATE_PARAMS},
};

static int
parse(struct handler_setting *setting, const char *text, char *why, size_t why_len)
{
	const struct handler_key *key = setting->key;
	const struct config_key as = {
	    .size = sizeof(setting->number),
	    .min = key->min,
	    .max = key->max,
	    .allow = kinds[key->kind].allow,
	};
	void *field = (char *)setting + kinds[key->kind].offset;
	int rc = 0;

	if (kinds[key->kind].set != NULL)
		rc = kinds[key->kind].set(&as, field, text, why, why_len);
	if (rc < 0)
		return rc;
	return (setting->text = strdup(text)) != NULL ? 0 : -ENOMEM;
}

static int
set_one(const struct config_source *src, struct handler_setting *setting, const struct ini_entry *e)
{
	const char *text = e != NULL ? e->value : setting->key->fallback;
	char why[WHY_LEN] = "";
	int rc = text != NULL ? parse(setting, text, why, sizeof(why)) : 0;

	if (rc != -EINVAL)
		return rc;
	if (e != NULL)
		config_fault(src, e, why);
	return 0;
}

int
config_handler_keys_set(const struct config_source *src, struct route *rt, size_t section)
{
	struct handler_settings *keys = &rt->stream.handler_settings;
	const struct handler_key *key;
	size_t n = 0;
	int rc = 0;

	while (rt->handler != NULL && nth_key(rt->handler, n) != NULL)
		n++;
	if (n == 0)
		return 0;
	if ((keys->v = calloc(n, sizeof(*keys->v))) == NULL)
		return -ENOMEM;
	for (; rc == 0 && (key = nth_key(rt->handler, keys->n)) != NULL; keys->n++) {
		keys->v[keys->n].key = key;
		rc = set_one(src, &keys->v[keys->n], config_entry(src, section, key->name));
	}
	return rc;
}

int
config_handler_keys_try(const struct config_source *src, const struct ini_entry *e,
			const struct config_key *key)
{
	struct handler_setting setting = {0};
	const struct handler_key *one;
	int rc = 0;

	for (size_t n = 0; (one = nth_key(key->handler, n)) != NULL && setting.key == NULL; n++) {
		if (strcmp(one->name, key->name) == 0)
			setting.key = one;
	}
	if (setting.key != NULL)
		rc = set_one(src, &setting, e);
	handler_setting_clear(&setting);
	return rc;
}

int
config_handler_keys_put(const struct route *rt, struct buf *b)
{
	int rc = 0;

	for (size_t i = 0; i < rt->stream.handler_settings.n && rc == 0; i++) {
		const struct handler_setting *setting = &rt->stream.handler_settings.v[i];

		if (setting->text != NULL)
			rc = config_put_value(b, setting->key->name, setting->text);
	}
	return rc;
}

static bool
has(const struct handler *h, const struct config_key *key)
{
	const struct handler_key *one;

	if (key->handler == NULL)
		return true;
	for (size_t n = 0; (one = nth_key(h, n)) != NULL; n++) {
		if (strcmp(one->name, key->name) == 0)
			return true;
	}
	return false;
}

/* Reports "only handler = poll has one", or that several handlers do. */
static void
fault_not_had(const struct config_source *src, const struct ini_entry *e,
	      const struct config_key *key)
{
	const struct handler *h;
	char why[WHY_LEN];
	size_t len = (size_t)snprintf(why, sizeof(why), "only handler ="), n_found = 0;

	for (size_t n = 0; (h = handlers_nth(n)) != NULL && len < sizeof(why); n++) {
		if (has(h, key) && ++n_found > 0)
			len += (size_t)snprintf(why + len, sizeof(why) - len, "%s %s",
						n_found > 1 ? " or" : "", h->name);
	}
	if (len < sizeof(why))
		snprintf(why + len, sizeof(why) - len, n_found > 1 ? " have one" : " has one");
	config_fault(src, e, why);
}

/* The section as a handler's check() sees it. */

struct checked_section {
	struct handler_section hs;
	const struct config_source *src;
	size_t section;
};

static const struct checked_section *
checked(const struct handler_section *hs)
{
	return (const struct checked_section *)(const void *)((const char *)hs -
							      offsetof(struct checked_section, hs));
}

static const char *
text_of(const struct handler_section *hs, const char *key)
{
	const struct ini_entry *e = config_entry(checked(hs)->src, checked(hs)->section, key);

	return e != NULL && *e->value != '\0' ? e->value : NULL;
}

static void
fault_of(const struct handler_section *hs, const char *key, const char *why)
{
	const struct config_source *src = checked(hs)->src;
	const struct ini_entry *e =
	    key != NULL ? ini_find(src->ini, checked(hs)->section, key) : NULL;

	if (key == NULL)
		config_fault_section(src, checked(hs)->section, why);
	else if (e != NULL && *e->value != '\0')
		config_fault(src, e, why);
}

static void
ask_handler(const struct handler *h, const struct config_source *src, size_t section)
{
	struct checked_section cs = {{text_of, fault_of}, src, section};

	if (h->check != NULL)
		h->check(&cs.hs);
}

/* A number that is 0 asks for nothing. */
static void
refuse_unless_0(const struct config_source *src, size_t section, const char *key, const char *why)
{
	const struct ini_entry *e = config_entry(src, section, key);

	if (e != NULL && strcmp(e->value, "0") != 0)
		config_fault(src, e, why);
}

void
config_handler_keys_check(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct handler *h = rt->handler;
	const struct config_key *key;

	if (h == NULL)
		return;
	for (size_t i = 0; i < src->ini->n_entries; i++) {
		const struct ini_entry *e = &src->ini->entries[i];

		if (e->section != section || (key = config_key_find(CONFIG_ROUTE, e->key)) == NULL)
			continue;
		if (!has(h, key))
			fault_not_had(src, e, key);
	}
	ask_handler(h, src, section);
	for (unsigned kind = 0; h->follows_only != NULL && kind < N_SUBJECT_KINDS; kind++) {
		const struct ini_entry *e = config_entry(src, section, subject_traits[kind].key);

		if (e != NULL && strcmp(subject_traits[kind].key, h->follows_only) != 0)
			config_fault(src, e, h->why_refused);
	}
	for (const char *const *name = h->refuses; name != NULL && *name != NULL; name++)
		refuse_unless_0(src, section, *name, h->why_refused);
}

/*
 * Two handlers may have keys with the same name, but no handler may have one with the name of a key
 * of all routes.
 */
static bool
may_be_called(const struct config_key *key)
{
	const struct config_key *first = config_key_find(CONFIG_ROUTE, key->name);

	return first == NULL || first->handler != NULL;
}

int
config_handler_keys_refuse(char *why, size_t why_len)
{
	const struct config_key *key;

	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		if (key->handler == NULL || may_be_called(key))
			continue;
		snprintf(why, why_len, "handler \"%s\" adds the key \"%s\", which is there already",
			 key->handler->name, key->name);
		return -EINVAL;
	}
	return 0;
}
