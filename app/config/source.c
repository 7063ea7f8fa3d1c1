#include "config/source.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ADD_PREFIX "add."

enum { WHY_LEN = 512 };

void
config_fault(const struct config_source *src, const struct ini_entry *e, const char *why)
{
	faults_add(src->faults, e->file, e->line, "[%s] %s: %s",
		   src->ini->sections[e->section].name, e->key, why);
}

void
config_note(const struct config_source *src, const struct ini_entry *e, const char *why)
{
	faults_note(src->faults, e->file, e->line, "[%s] %s: %s",
		    src->ini->sections[e->section].name, e->key, why);
}

void
config_fault_section(const struct config_source *src, size_t section, const char *why)
{
	const struct ini_section *s = &src->ini->sections[section];
	char text[WHY_LEN + 64];

	snprintf(text, sizeof(text), "[%s] %s", s->name, why);
	faults_add_behind(src->faults, s->file, s->line, ini_last_line(src->ini, section), text);
}

const struct ini_entry *
config_find_entry(const struct config_source *src, size_t section, const struct config_key *key)
{
	const struct ini_entry *e = ini_find(src->ini, section, key->name);

	if (e == NULL && src->defaults != CONFIG_NO_SECTION && strcmp(key->name, "path") != 0)
		e = ini_find(src->ini, src->defaults, key->name);
	return e;
}

const struct ini_entry *
config_entry(const struct config_source *src, size_t section, const char *key)
{
	return config_find_entry(src, section, config_key_find(CONFIG_ROUTE, key));
}

bool
config_is_add(const struct ini_entry *e)
{
	return strncasecmp(e->key, ADD_PREFIX, strlen(ADD_PREFIX)) == 0;
}

bool
config_adds_here(const struct config_source *src, size_t section, const struct ini_entry *e)
{
	if (!config_is_add(e))
		return false;
	return e->section == section ||
	       (e->section == src->defaults && ini_find(src->ini, section, e->key) == NULL);
}

int
config_put_value(struct buf *b, const char *key, const char *value)
{
	size_t len = strlen(value);
	const char *quote = "";

	if (len == 0 || strpbrk(value, ";#") != NULL || *value == '"' || *value == '\'' ||
	    strchr(" \t", *value) != NULL || strchr(" \t", value[len - 1]) != NULL)
		quote = strchr(value, '"') == NULL ? "\"" : "'";
	return buf_printf(b, "%s = %s%s%s\n", key, quote, value, quote);
}
