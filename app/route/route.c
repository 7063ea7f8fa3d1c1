#include "route/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "route/param_default.h"
#include "source/queue.h"

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
	if (rt == NULL)
		return;
	free(rt->name);
	path_free(rt->path);
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++)
		free_templates(rt->subjects[i]);
	free_rules(rt->rules, rt->n_rules);
	template_free(rt->stream.event);
	template_free(rt->stream.id);
	template_free(rt->stream.pace.rate_by);
	free_templates(rt->stream.snapshot);
	template_free(rt->stream.snapshot_missing);
	template_free(rt->stream.snapshot_from);
	expression_free(rt->allow);
	free_templates(rt->allow_command);
	free(rt->allow_text);
	expression_free(rt->publish.filter);
	expression_free(rt->publish.transform);
	template_free(rt->publish.channel);
	template_free(rt->publish.stream);
	free(rt->publish.filter_text);
	free(rt->publish.transform_text);
	stages_fini(&rt->stream.stages);
	free(rt->logic.filter);
	free(rt->logic.transform);
	free(rt->logic.until);
	free(rt->logic.script);
	strings_free(rt->logic.params);
	strings_free(rt->logic.request_params);
	template_free(rt->stream.heartbeat_data);
	template_free(rt->stream.abandoned_data);
	free(rt->stream.heartbeat_event);
	strings_free(rt->cors_origins);
	handler_settings_fini(&rt->stream.handler_settings);
	free(rt->source);
	free(rt->key);
	free(rt);
}

const struct param_rule *
route_find_rule(const struct route *rt, const char *name)
{
	size_t i;

	for (i = 0; i < rt->n_rules; i++) {
		if (strcmp(rt->rules[i].name, name) == 0)
			return &rt->rules[i];
	}
	return NULL;
}

const char *
route_rule_text(const struct route *rt, const char *name)
{
	const struct param_rule *rule = route_find_rule(rt, name);

	return rule != NULL ? rule->text : param_default_text(name);
}

bool
route_param_ok(const struct route *rt, const char *name, const char *value)
{
	const struct param_rule *rule = route_find_rule(rt, name);

	return rule == NULL ? param_default_ok(name, value)
			    : regexec(&rule->regex, value, 0, NULL, 0) == 0;
}

static const struct template *
nth_of(struct template *const *list, size_t *n)
{
	for (; list != NULL && *list != NULL; list++) {
		if ((*n)-- == 0)
			return *list;
	}
	return NULL;
}

/* The n-th template of the route, NULL past the last. */
static const struct template *
nth_template(const struct route *rt, size_t n)
{
	const struct feed_settings *fs = &rt->stream;
	const struct template *const singles[] = {fs->event,          fs->id,
						  fs->heartbeat_data, fs->pace.rate_by,
						  fs->abandoned_data, fs->snapshot_missing,
						  fs->snapshot_from};
	const struct template *t;

	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if ((t = nth_of(rt->subjects[i], &n)) != NULL)
			return t;
	}
	if ((t = nth_of(fs->snapshot, &n)) != NULL)
		return t;
	for (size_t i = 0; (t = handler_setting_shared(&fs->handler_settings, i)) != NULL; i++) {
		if (n-- == 0)
			return t;
	}
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
		if (singles[i] != NULL && n-- == 0)
			return singles[i];
	}
	return n < fs->stages.shape.n_adds ? fs->stages.shape.adds[n].value : NULL;
}

/* As route_named_param(), without the parameters of the path. */
static const char *
named_by_logic(const struct route *rt, size_t n)
{
	const struct template *t;
	const char *name;

	for (size_t k = 0; (t = nth_template(rt, k)) != NULL; k++) {
		for (size_t i = 0; (name = template_param(t, i)) != NULL; i++) {
			if (n-- == 0)
				return name;
		}
	}
	for (size_t i = 0; rt->logic.params != NULL && rt->logic.params[i] != NULL; i++) {
		if (n-- == 0)
			return rt->logic.params[i];
	}
	return NULL;
}

const char *
route_named_param(const struct route *rt, size_t n)
{
	const struct template *const publish[] = {rt->publish.channel, rt->publish.stream};
	const char *name;

	for (size_t i = 0; rt->path != NULL && (name = path_param(rt->path, i)) != NULL; i++) {
		if (n-- == 0)
			return name;
	}
	for (size_t i = 0;
	     rt->handler != NULL && rt->handler->params != NULL && rt->handler->params[i] != NULL;
	     i++) {
		if (n-- == 0)
			return rt->handler->params[i];
	}
	for (struct template *const *t = rt->allow_command; t != NULL && *t != NULL; t++) {
		for (size_t i = 0; (name = template_param(*t, i)) != NULL; i++) {
			if (n-- == 0)
				return name;
		}
	}
	for (size_t t = 0; t < 2; t++) {
		for (size_t i = 0;
		     publish[t] != NULL && (name = template_param(publish[t], i)) != NULL; i++) {
			if (n-- == 0)
				return name;
		}
	}
	for (size_t k = 0; k < rt->stream.handler_settings.n; k++) {
		const struct template *t = rt->stream.handler_settings.v[k].template;

		for (size_t i = 0; t != NULL && (name = template_param(t, i)) != NULL; i++) {
			if (n-- == 0)
				return name;
		}
	}
	for (size_t i = 0; rt->logic.request_params != NULL && rt->logic.request_params[i] != NULL;
	     i++) {
		if (n-- == 0)
			return rt->logic.request_params[i];
	}
	return named_by_logic(rt, n);
}

static bool
knows_users(const struct auth_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i] != &credential_none)
			return true;
	}
	return false;
}

static bool
takes(const struct auth_list *list, const struct credential *cr)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->v[i] == cr)
			return true;
	}
	return false;
}

bool
route_takes(const struct route *rt, const struct credential *cr)
{
	return takes(&rt->auth, cr) || takes(&rt->publish.auth, cr);
}

bool
route_knows_users(const struct route *rt)
{
	return knows_users(&rt->auth) || knows_users(&rt->publish.auth);
}

const struct auth_list *
route_auth(const struct route *rt)
{
	return &rt->auth;
}

bool
route_can_publish(const struct route *rt)
{
	return rt->publish.channel != NULL || rt->publish.stream != NULL;
}

bool
route_can_follow(const struct route *rt)
{
	if (!rt->is_of_subjects)
		return true;
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if (rt->subjects[i] != NULL)
			return true;
	}
	return false;
}

bool
route_can_resume(const struct route *rt)
{
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if (rt->subjects[i] != NULL && subject_traits[i].is_resumable)
			return true;
	}
	return rt->stream.record > 0;
}

bool
route_can_be_carried(const struct route *rt)
{
	const struct handler *h = rt->handler;

	if (h == NULL || h->answer != NULL || !route_can_follow(rt))
		return false;
	return h->kind == HANDLER_STREAM ||
	       (h->kind == HANDLER_QUEUE && !queue_is_auto(&rt->stream.handler_settings));
}

bool
route_carries(const struct route *mux, const struct route *rt)
{
	const char *list = handler_setting_text(&mux->stream.handler_settings, "routes"), *name;
	size_t len;

	while (list != NULL && (name = strings_next(&list, &len)) != NULL) {
		if ((len == 1 && *name == '*') ||
		    (len == strlen(rt->name) && memcmp(name, rt->name, len) == 0))
			return true;
	}
	return false;
}

const char *
route_methods(const struct route *rt)
{
	bool takes_post = route_can_publish(rt) || rt->handler->kind == HANDLER_QUEUE ||
			  rt->handler->kind == HANDLER_MUX;

	if (!takes_post)
		return "GET, HEAD, OPTIONS";
	return route_can_follow(rt) ? "GET, HEAD, OPTIONS, POST" : "OPTIONS, POST";
}

/* Adds a name to a list that ends with NULL, if it is not there yet. */
static int
add_name(const char ***list, const char *name)
{
	const char **v;
	size_t n = 0;

	for (; *list != NULL && (*list)[n] != NULL; n++) {
		if (strcmp((*list)[n], name) == 0)
			return 0;
	}
	if ((v = reallocarray(*list, n + 2, sizeof(const char *))) == NULL)
		return -ENOMEM;
	v[n] = name;
	v[n + 1] = NULL;
	*list = v;
	return 0;
}

static bool
names_identity(struct template *const *list)
{
	const char *name;

	for (; list != NULL && *list != NULL; list++) {
		for (size_t n = 0; (name = template_param(*list, n)) != NULL; n++) {
			if (identity_is_name(name))
				return true;
		}
	}
	return false;
}

/*
 * A handler that names subjects itself can only know the user by the feed's key, or if it is
 * private.
 */
static bool
is_of_user(const struct route *rt)
{
	const char *name;

	for (size_t i = 0; i < N_SUBJECT_KINDS; i++) {
		if (names_identity(rt->subjects[i]))
			return true;
	}
	if (rt->handler == NULL || rt->is_of_subjects)
		return false;
	for (size_t n = 0; (name = route_key_param(rt, n)) != NULL; n++) {
		if (identity_is_name(name))
			return true;
	}
	return rt->handler->is_private && route_knows_users(rt);
}

int
route_set_key(struct route *rt)
{
	bool has_all_of_path =
	    rt->logic.uses_any_param || (rt->handler != NULL && !rt->is_of_subjects);
	const char *name;
	int rc = 0;

	for (size_t n = 0; has_all_of_path && rc == 0 && rt->path != NULL &&
			   (name = path_param(rt->path, n)) != NULL;
	     n++)
		rc = add_name(&rt->key, name);
	for (size_t n = 0; rc == 0 && (name = named_by_logic(rt, n)) != NULL; n++)
		rc = add_name(&rt->key, name);
	rt->stream.is_of_user = is_of_user(rt);
	return rc;
}

const char *
route_key_param(const struct route *rt, size_t n)
{
	size_t i;

	for (i = 0; rt->key != NULL && rt->key[i] != NULL; i++) {
		if (i == n)
			return rt->key[i];
	}
	return NULL;
}

int
route_add_param(char ***list, const char *name, size_t len)
{
	char **v;
	size_t n = 0;

	while (*list != NULL && (*list)[n] != NULL)
		n++;
	if ((v = reallocarray(*list, n + 2, sizeof(char *))) == NULL)
		return -ENOMEM;
	*list = v;
	v[n + 1] = NULL;
	v[n] = strndup(name, len);
	return v[n] != NULL ? 0 : -ENOMEM;
}

static bool
may_stand(const void *ctx, const char *name, const char *value)
{
	return route_param_ok(ctx, name, value);
}

unsigned
route_records(const struct route *rt, const char *channel, unsigned n)
{
	struct template *const *t;

	for (t = rt->subjects[SUBJECT_CHANNEL]; rt->stream.record > n && t != NULL && *t != NULL;
	     t++) {
		if (template_matches(*t, channel, may_stand, rt))
			return rt->stream.record;
	}
	return n;
}

/* The text of the script counts, because its path does not say if the file has changed. */
static const char *
script_of(const struct route *rt)
{
	return rt->stream.stages.script != NULL ? script_text(rt->stream.stages.script) : "";
}

bool
route_is_same(const struct route *a, const struct route *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->source, b->source) == 0 &&
	       memcmp(a->auth_digest, b->auth_digest, sizeof(a->auth_digest)) == 0 &&
	       strcmp(script_of(a), script_of(b)) == 0;
}
