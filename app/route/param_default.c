#include "route/param_default.h"

#include <stddef.h>
#include <string.h>

enum { LEN_MAX = 128 };

/*
 * One spelling of the characters that a row allows besides letters and digits: both forms are made
 * of it.
 */
#define ALLOWS(more) "_." more "-", "[A-Za-z0-9_." more "-]{1,128}"

/*
 * A user may be an e-mail address, or what identity providers make up; a session's name may hold
 * what PHP allows. The first row whose name fits counts.
 */
static const struct rule {
	const char *name; /* with a dot at its end: every name that begins so; NULL: every name */
	const char *others, *text;
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

static bool
is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
}

/* Most values are letters and digits, for which strspn() would make a table each time. */
bool
param_default_ok(const char *name, const char *value)
{
	const char *others = rule_of(name)->others;
	size_t len = 0;

	while (is_letter_or_digit(value[len]) ||
	       (value[len] != '\0' && strchr(others, value[len]) != NULL))
		len++;
	return len >= 1 && len <= LEN_MAX && value[len] == '\0';
}

const char *
param_default_text(const char *name)
{
	return rule_of(name)->text;
}
