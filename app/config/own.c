#include "config/own.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/values.h"
#include "route/handlers.h"

enum { WHY_LEN = 512 };

/* Of each kind of value: how it becomes a number; NULL: a text has none. */
static int (*const setters[])(const struct config_key *key, void *field, const char *text,
			      char *why, size_t why_len) = {
    [HANDLER_TEXT] = NULL,
    [HANDLER_NUMBER] = config_set_number,
    [HANDLER_DURATION] = config_set_duration,
    [HANDLER_SIZE] = config_set_size,
    [HANDLER_YES_NO] = config_set_yes_no,
    [HANDLER_TEMPLATE] = NULL,
};

static int
parse(struct feed_own *own, const char *text, char *why, size_t why_len)
{
	const struct handler_key *key = own->key;
	const struct config_key as = {
	    .size = sizeof(own->number), .min = key->min, .max = key->max};
	bool is_yes = false;
	int rc = 0;

	if (key->kind == HANDLER_TEMPLATE)
		rc = template_compile(&own->template, text, TEMPLATE_PARAMS, why, why_len);
	else if (key->kind == HANDLER_YES_NO)
		rc = setters[key->kind](&as, &is_yes, text, why, why_len);
	else if (setters[key->kind] != NULL)
		rc = setters[key->kind](&as, &own->number, text, why, why_len);
	if (rc < 0)
		return rc;
	if (key->kind == HANDLER_YES_NO)
		own->number = is_yes;
	return (own->text = strdup(text)) != NULL ? 0 : -ENOMEM;
}

static int
set_one(const struct config_source *src, struct feed_own *own, size_t section)
{
	const struct ini_entry *e = config_entry(src, section, own->key->name);
	char why[WHY_LEN] = "";
	int rc = 0;

	if (e != NULL)
		rc = parse(own, e->value, why, sizeof(why));
	else if (own->key->fallback != NULL)
		rc = parse(own, own->key->fallback, why, sizeof(why));
	if (rc != -EINVAL)
		return rc;
	if (e != NULL)
		config_fault(src, e, why);
	return 0;
}

int
config_own_set(const struct config_source *src, struct route *rt, size_t section)
{
	const struct handler_key *key = rt->handler != NULL ? rt->handler->keys : NULL;
	struct feed_settings *fs = &rt->stream;
	size_t n = 0;
	int rc = 0;

	while (key != NULL && key[n].name != NULL)
		n++;
	if (n == 0)
		return 0;
	if ((fs->own = calloc(n, sizeof(*fs->own))) == NULL)
		return -ENOMEM;
	for (; fs->n_own < n && rc == 0; fs->n_own++) {
		fs->own[fs->n_own].key = &key[fs->n_own];
		rc = set_one(src, &fs->own[fs->n_own], section);
	}
	return rc;
}

int
config_own_put(const struct route *rt, struct buf *b)
{
	int rc = 0;

	for (size_t i = 0; i < rt->stream.n_own && rc == 0; i++) {
		if (rt->stream.own[i].text != NULL)
			rc = config_put_value(b, rt->stream.own[i].key->name,
					      rt->stream.own[i].text);
	}
	return rc;
}

static bool
is_in(const char *const *list, const char *name)
{
	for (; list != NULL && *list != NULL; list++) {
		if (strcasecmp(*list, name) == 0)
			return true;
	}
	return false;
}

/* One of a module that is a queue, say, has a queue's keys without naming them. */
static bool
is_of_kind(const struct handler *h, const struct handler *other)
{
	return (h->is_queue && other->is_queue) || (h->is_wait && other->is_wait) ||
	       (h->is_mux && other->is_mux) || (h->tells_state && other->tells_state);
}

static bool
has(const struct handler *h, const struct config_key *key)
{
	const struct handler *other;

	if (key->handler != NULL)
		return key->handler == h;
	if (!key->is_special || is_in(h->takes, key->name))
		return true;
	for (size_t n = 0; (other = handlers_nth(n)) != NULL; n++) {
		if (is_of_kind(h, other) && is_in(other->takes, key->name))
			return true;
	}
	return false;
}

/* "only handler = poll has one", or several that do. */
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

void
config_own_check(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct handler *h = rt->handler;
	const struct config_key *key;

	if (h == NULL)
		return;
	for (size_t i = 0; i < src->ini->n_entries; i++) {
		const struct ini_entry *e = &src->ini->entries[i];

		if (e->section != section || (key = config_key_find(CONFIG_ROUTE, e->key)) == NULL)
			continue;
		if (!has(h, key) && (h->answer == NULL || h->open != NULL || key->handler != NULL))
			fault_not_had(src, e, key);
	}
	for (const char *const *name = h->refuses; name != NULL && *name != NULL; name++) {
		const struct ini_entry *e = config_entry(src, section, *name);

		if (e != NULL && strcmp(e->value, "0") != 0)
			config_fault(src, e, h->why_refused);
	}
}

int
config_own_refuse(char *why, size_t why_len)
{
	const struct config_key *key;

	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		if (key->handler == NULL || config_key_find(CONFIG_ROUTE, key->name) == key)
			continue;
		snprintf(why, why_len, "handler \"%s\" adds the key \"%s\", which is there already",
			 key->handler->name, key->name);
		return -EINVAL;
	}
	return 0;
}
