#include "route/param_default.h"

#include <stddef.h>
#include <string.h>

enum { LEN_MAX = 128 };

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* One spelling of the characters that a row allows besides these: both forms are made of it. */
#define ALLOWS(more) ALNUM "_." more "-", "[A-Za-z0-9_." more "-]{1,128}"

/*
 * A user may be an e-mail address, or what identity providers make up; a session's name may hold
 * what PHP allows. The first row whose name fits counts.
 */
static const struct rule {
	const char *name; /* with a dot at its end: every name that begins so; NULL: every name */
	const char *set, *text;
} rules[] = {
    {"user", ALLOWS("@+|")},
    {"claim.", ALLOWS("@+|")},
    {"cookie", ALLOWS(",")},
    {NULL, ALLOWS("")},
};

static const struct rule *
rule_of(const char *name)
{
	const struct rule *rule = rules;

	for (; rule->name != NULL; rule++) {
		size_t len = strlen(rule->name);

		if (rule->name[len - 1] == '.' ? strncmp(rule->name, name, len) == 0
					       : strcmp(rule->name, name) == 0)
			break;
	}
	return rule;
}

bool
param_default_ok(const char *name, const char *value)
{
	size_t len = strspn(value, rule_of(name)->set);

	return len >= 1 && len <= LEN_MAX && value[len] == '\0';
}

const char *
param_default_text(const char *name)
{
	return rule_of(name)->text;
}
