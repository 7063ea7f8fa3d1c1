#include "route/route.h"

#include <stdlib.h>
#include <string.h>

enum { PARAM_LEN_MAX = 128 };

static void
free_templates(struct template **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		template_free(list[i]);
	free(list);
}

static void
free_rules(struct param_rule *rules, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (rules[i].text != NULL)
			regfree(&rules[i].regex);
		free(rules[i].name);
		free(rules[i].text);
	}
	free(rules);
}

void
route_free(struct route *rt)
{
	size_t i;

	if (rt == NULL)
		return;
	free(rt->name);
	path_free(rt->path);
	free_templates(rt->channels);
	free_templates(rt->patterns);
	free_rules(rt->rules, rt->n_rules);
	template_free(rt->stream.event);
	template_free(rt->stream.heartbeat_data);
	free(rt->stream.heartbeat_event);
	for (i = 0; rt->cors_origins != NULL && rt->cors_origins[i] != NULL; i++)
		free(rt->cors_origins[i]);
	free(rt->cors_origins);
	free(rt->source);
	free(rt);
}

/* [A-Za-z0-9_.-]{1,128}: nothing that could end a channel's name, or widen a pattern. */
static bool
is_plain(const char *value)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t len = strspn(value, set);

	return len >= 1 && len <= PARAM_LEN_MAX && value[len] == '\0';
}

const struct param_rule *
route_rule(const struct route *rt, const char *name)
{
	size_t i;

	for (i = 0; i < rt->n_rules; i++) {
		if (strcmp(rt->rules[i].name, name) == 0)
			return &rt->rules[i];
	}
	return NULL;
}

bool
route_param_ok(const struct route *rt, const char *name, const char *value)
{
	const struct param_rule *rule = route_rule(rt, name);

	return rule == NULL ? is_plain(value) : regexec(&rule->regex, value, 0, NULL, 0) == 0;
}

/* The n-th parameter that any template of the list names, with repetitions. */
static const char *
named_by(struct template *const *list, size_t *n)
{
	const char *name;
	size_t i;

	for (; list != NULL && *list != NULL; list++) {
		for (i = 0; (name = template_param(*list, i)) != NULL; i++) {
			if ((*n)-- == 0)
				return name;
		}
	}
	return NULL;
}

static const char *
named(const struct route *rt, size_t n)
{
	struct template *const event[] = {rt->stream.event, NULL};
	struct template *const data[] = {rt->stream.heartbeat_data, NULL};
	const char *name = path_param(rt->path, n);
	size_t n_path;

	if (rt->handler->open != feed_subjects) {
		if (name != NULL)
			return name;
		for (n_path = 0; path_param(rt->path, n_path) != NULL; n_path++)
			;
		n -= n_path;
	}
	if ((name = named_by(rt->channels, &n)) != NULL ||
	    (name = named_by(rt->patterns, &n)) != NULL || (name = named_by(event, &n)) != NULL)
		return name;
	return named_by(data, &n);
}

static bool
is_named_before(const struct route *rt, size_t n, const char *name)
{
	while (n-- > 0) {
		if (strcmp(named(rt, n), name) == 0)
			return true;
	}
	return false;
}

const char *
route_key_param(const struct route *rt, size_t n)
{
	const char *name;
	size_t i;

	for (i = 0; (name = named(rt, i)) != NULL; i++) {
		if (!is_named_before(rt, i, name) && n-- == 0)
			return name;
	}
	return NULL;
}
