#include "config/route.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/strings.h"
#include "base/suggest.h"
#include "config/auth.h"
#include "config/handler_keys.h"
#include "config/keys.h"
#include "config/logic.h"
#include "config/param_rule.h"
#include "config/values.h"
#include "config/within_route.h"

#define PARAM_PREFIX "param."
#define WHY_LEN      512

/* The longest line of the configuration, with quotes; it is far less than the cap of a source. */
#define SOURCE_CAP ((size_t)1 << 20)

static int
set_entry(const struct config_source *src, const struct config_key *key, struct route *rt,
	  const struct ini_entry *e)
{
	char why[WHY_LEN] = "";
	int rc = key->set(key, (char *)rt + key->offset, e->value, why, sizeof(why));

	if (rc == -EINVAL) {
		config_fault(src, e, why);
		return 0;
	}
	return rc;
}

static bool
announces(const struct config_source *src, size_t section)
{
	const struct config_key *key = config_key_find(CONFIG_ROUTE, "announce");
	const struct ini_entry *e = config_find_entry(src, section, key);
	char why[WHY_LEN];
	bool answer = true;

	return e == NULL || key->set(key, &answer, e->value, why, sizeof(why)) < 0 || answer;
}

/*
 * The default of a key. A route that announces nothing serves clients that take every event for a
 * message, so its heartbeat is no event.
 */
static const char *
fallback_of(const struct config_source *src, const struct config_key *key, size_t section)
{
	if (strcmp(key->name, "heartbeat_event") == 0 && !announces(src, section))
		return "";
	return key->fallback;
}

static int
set_fallback(const struct config_source *src, const struct config_key *key, struct route *rt,
	     size_t section)
{
	const char *fallback = fallback_of(src, key, section);
	char why[WHY_LEN];

	if (fallback == NULL)
		return 0;
	return key->set(key, (char *)rt + key->offset, fallback, why, sizeof(why));
}

/* Parameters */

static bool
names_param(const struct route *rt, const char *param)
{
	const char *name;

	for (size_t n = 0; (name = route_named_param(rt, n)) != NULL; n++) {
		if (strcasecmp(name, param) == 0)
			return true;
	}
	return route_knows_users(rt) &&
	       (strcasecmp(param, "user") == 0 || strcasecmp(param, "cookie") == 0);
}

static int
add_rule(struct route *rt, const char *name, const char *text, char *why)
{
	struct param_rule *v, rule = {0};
	int rc = -ENOMEM;

	if ((v = reallocarray(rt->rules, rt->n_rules + 1, sizeof(*v))) == NULL)
		return -ENOMEM;
	rt->rules = v;
	rule.name = strdup(name);
	rule.text = strdup(text);
	if (rule.name == NULL || rule.text == NULL ||
	    (rc = param_rule_compile(&rule.regex, text, why, WHY_LEN)) < 0) {
		free(rule.name);
		free(rule.text);
		return rc;
	}
	v[rt->n_rules++] = rule;
	return 0;
}

/*
 * Adds the rule of one entry to each parameter of its name: upper and lower case are the same in
 * keys, and differ in parameters. Returns 0, -EINVAL with why, -ENOMEM.
 */
static int
add_rules(struct route *rt, const struct ini_entry *e, char *why)
{
	const char *wanted = e->key + strlen(PARAM_PREFIX), *name;
	struct param_rule_bytes bytes;
	int rc = param_rule_check(e->value, &bytes, why, WHY_LEN);

	for (size_t n = 0; rc == 0 && (name = route_named_param(rt, n)) != NULL; n++) {
		if (strcasecmp(name, wanted) == 0 && route_find_rule(rt, name) == NULL)
			rc = add_rule(rt, name, e->value, why);
	}
	return rc;
}

static void
fault_unused_rule(const struct config_source *src, const struct route *rt,
		  const struct ini_entry *e)
{
	const char *name;
	char why[WHY_LEN];
	struct suggest s;

	suggest_init(&s, e->key + strlen(PARAM_PREFIX));
	for (size_t n = 0; (name = route_named_param(rt, n)) != NULL; n++)
		suggest_try(&s, name);
	if (suggest_best(&s) != NULL)
		snprintf(why, sizeof(why),
			 "no path and no template names {%s}; did you mean \"" PARAM_PREFIX "%s\"?",
			 s.word, suggest_best(&s));
	else
		snprintf(why, sizeof(why), "no path and no template names {%s}", s.word);
	config_fault(src, e, why);
}

static bool
is_rule(const struct ini_entry *e)
{
	return strncasecmp(e->key, PARAM_PREFIX, strlen(PARAM_PREFIX)) == 0;
}

/* Adds the rules of a section. Each rule in the route's own section must be of use. */
static int
set_rules(const struct config_source *src, struct route *rt, size_t section, bool is_own)
{
	char why[WHY_LEN];
	int rc;

	for (size_t i = 0; i < src->ini->n_entries; i++) {
		const struct ini_entry *e = &src->ini->entries[i];

		if (e->section != section || !is_rule(e))
			continue;
		if (is_own && !names_param(rt, e->key + strlen(PARAM_PREFIX)))
			fault_unused_rule(src, rt, e);
		if ((rc = add_rules(rt, e, why)) == -EINVAL)
			config_fault(src, e, why);
		else if (rc < 0)
			return rc;
	}
	return 0;
}

/* Templates that name subjects */

struct subject_walk {
	const struct config_source *src;
	const struct route *rt;
	const struct ini_entry *entry;
	bool is_pattern;
	const char *param; /* the parameter before, NULL at first */
	size_t param_len;
	struct param_rule_bytes param_bytes;
	struct param_rule_bytes between; /* literal bytes since that parameter */
	bool has_between;
};

static void
rule_bytes_of(const struct route *rt, const char *name, size_t len, struct param_rule_bytes *bytes)
{
	char text[WHY_LEN], why[WHY_LEN];

	snprintf(text, sizeof(text), "%.*s", (int)len, name);
	(void)param_rule_check(route_rule_text(rt, text), bytes, why, sizeof(why));
}

/*
 * Can a name be read in two ways? It cannot if a byte between two parameters may not stand in the
 * first of them. Otherwise "a:b:c" from {x}:{y} may have x = "a:b" or x = "a".
 */
static bool
is_ambiguous(const struct subject_walk *w)
{
	for (int c = 0; c < 256; c++) {
		if (w->between.has[c] && !w->param_bytes.has[c])
			return false;
	}
	return true;
}

static void
visit_param(struct subject_walk *w, const char *name, size_t len)
{
	char why[WHY_LEN];

	if (w->param != NULL && is_ambiguous(w)) {
		snprintf(
		    why, sizeof(why),
		    w->has_between
			? "the rule of {%.*s} allows what stands between it and {%.*s}, so "
			  "that two pairs give one name; set another separator or " PARAM_PREFIX
			  "%.*s"
			: "nothing stands between {%.*s} and {%.*s}: two pairs give one name",
		    (int)w->param_len, w->param, (int)len, name, (int)w->param_len, w->param);
		config_fault(w->src, w->entry, why);
	}
	rule_bytes_of(w->rt, name, len, &w->param_bytes);
	if (w->is_pattern && (w->param_bytes.has['*'] || w->param_bytes.has['?'] ||
			      w->param_bytes.has['['] || w->param_bytes.has['\\'])) {
		snprintf(
		    why, sizeof(why),
		    "the rule of {%.*s} allows *, ?, [ or \\, with which a client would choose "
		    "the pattern",
		    (int)len, name);
		config_fault(w->src, w->entry, why);
	}
	w->param = name;
	w->param_len = len;
	w->between = (struct param_rule_bytes){0};
	w->has_between = false;
}

/* Checks one template of the list. It has been compiled, so its braces are in order. */
static void
check_subject(struct subject_walk w, const char *p, size_t len)
{
	const char *end = p + len, *close;

	while (p < end) {
		if (*p == '{' && p + 1 < end && p[1] != '{' &&
		    (close = memchr(p, '}', (size_t)(end - p))) != NULL) {
			visit_param(&w, p + 1, (size_t)(close - p - 1));
			p = close + 1;
			continue;
		}
		w.between.has[(unsigned char)*p] = true;
		w.has_between = true;
		p += *p == '{' ? 2 : 1;
	}
}

static void
check_subjects(const struct config_source *src, const struct route *rt, size_t section,
	       const char *key, bool is_pattern, struct template *const *compiled)
{
	const struct ini_entry *e = config_entry(src, section, key);
	const char *p, *one;
	size_t len;

	if (e == NULL || compiled == NULL)
		return;
	p = e->value;
	for (size_t i = 0; compiled[i] != NULL && (one = strings_next(&p, &len)) != NULL; i++) {
		struct subject_walk w = {
		    .src = src, .rt = rt, .entry = e, .is_pattern = is_pattern};

		check_subject(w, one, len);
	}
}

/* The route as a whole */

static void
check_whole(const struct config_source *src, const struct route *rt, size_t section)
{
	const struct ini_entry *e;
	bool has_subject = false;

	for (size_t i = 0; i < N_SUBJECT_KINDS; i++)
		has_subject |= config_entry(src, section, subject_traits[i].key) != NULL;

	if (ini_find(src->ini, section, "path") == NULL)
		config_fault_section(src, section, "has no path: path = /events/{id}");
	if (!route_can_follow(rt) && !route_can_publish(rt))
		config_fault_section(
		    src, section,
		    has_subject ? "has an empty list of channels, patterns or streams"
				: "has neither channels nor patterns nor streams to relay");
	if (rt->cors_credentials && rt->cors_origins != NULL &&
	    strcmp(rt->cors_origins[0], "*") == 0) {
		e = ini_find(src->ini, section, "cors_origins");
		if (e == NULL)
			e = ini_find(src->ini, section, "cors_credentials");
		if (e != NULL)
			config_fault(src, e,
				     "any site (*) with credentials would read what is the "
				     "user's own; name the sites");
		else
			config_fault_section(
			    src, section,
			    "takes cors_origins = * and cors_credentials = yes from "
			    "[defaults]; name the sites");
	}
}

static int
compare_rules(const void *a, const void *b)
{
	return strcmp(((const struct param_rule *)a)->name, ((const struct param_rule *)b)->name);
}

static bool
applies(const struct route *rt, const struct config_key *key)
{
	return !key->is_stream || rt->handler == NULL || rt->handler->open != NULL;
}

static int
put_source(const struct config_source *src, const struct route *rt, size_t section, struct buf *b)
{
	const struct config_key *key;
	char name[128];
	int rc = 0;

	for (size_t n = 0; rc == 0 && (key = config_key_nth(n)) != NULL; n++) {
		const struct ini_entry *e;

		if (key->section != CONFIG_ROUTE || key->set == NULL || !applies(rt, key))
			continue;
		e = config_find_entry(src, section, key);
		if (e != NULL || key->fallback != NULL)
			rc = config_put_value(
			    b, key->name, e != NULL ? e->value : fallback_of(src, key, section));
	}
	if (rc == 0)
		rc = config_handler_keys_put(rt, b);
	if (rc == 0)
		rc = config_logic_put_adds(src, section, b);
	for (size_t i = 0; rc == 0 && i < rt->n_rules; i++) {
		snprintf(name, sizeof(name), PARAM_PREFIX "%s", rt->rules[i].name);
		rc = config_put_value(b, name, rt->rules[i].text);
	}
	return rc < 0 ? rc : buf_putc(b, '\0');
}

static int
set_source(const struct config_source *src, struct route *rt, size_t section)
{
	struct buf b;
	int rc;

	if (rt->n_rules > 0)
		qsort(rt->rules, rt->n_rules, sizeof(*rt->rules), compare_rules);
	buf_init(&b, SOURCE_CAP);
	if ((rc = put_source(src, rt, section, &b)) < 0) {
		buf_fini(&b);
		return rc;
	}
	rt->source = b.p;
	return 0;
}

/*
 * Sets one key. The handler stands first in the table, so it is known by then whether the keys of a
 * stream apply.
 */
static int
set_key(const struct config_source *src, const struct config_key *key, struct route *rt,
	size_t section)
{
	const struct ini_entry *e;
	char why[WHY_LEN];

	if (applies(rt, key)) {
		e = config_find_entry(src, section, key);
		return e != NULL ? set_entry(src, key, rt, e) : set_fallback(src, key, rt, section);
	}
	if ((e = ini_find(src->ini, section, key->name)) != NULL) {
		snprintf(why, sizeof(why),
			 "handler \"%s\" gives a short answer: it has no stream to which this "
			 "could apply",
			 rt->handler->name);
		config_fault(src, e, why);
	}
	return set_fallback(src, key, rt, section);
}

int
config_route_build(struct route **out, const struct config_source *src, size_t section,
		   const char *name)
{
	struct route *rt = calloc(1, sizeof(*rt));
	const struct config_key *key;
	int rc = -ENOMEM;

	if (rt == NULL || (rt->name = strdup(name)) == NULL)
		goto fail;
	for (size_t n = 0; (key = config_key_nth(n)) != NULL; n++) {
		if (key->section == CONFIG_ROUTE && key->set != NULL &&
		    (rc = set_key(src, key, rt, section)) < 0)
			goto fail;
	}
	/* Only here is the function compared; all other code uses this field. */
	rt->is_of_subjects = rt->handler != NULL && rt->handler->open == feed_subjects;
	if ((rc = config_handler_keys_set(src, rt, section)) < 0 ||
	    (rc = config_logic_build(src, rt, section)) < 0 ||
	    (rc = set_rules(src, rt, section, true)) < 0 ||
	    (src->defaults != CONFIG_NO_SECTION &&
	     (rc = set_rules(src, rt, src->defaults, false)) < 0))
		goto fail;
	for (size_t i = 0; i < N_SUBJECT_KINDS; i++)
		check_subjects(src, rt, section, subject_traits[i].key,
			       subject_traits[i].is_pattern, rt->subjects[i]);
	check_subjects(src, rt, section, "publish", false,
		       (struct template *const[]){rt->publish.channel, NULL});
	check_subjects(src, rt, section, "publish_stream", false,
		       (struct template *const[]){rt->publish.stream, NULL});
	check_whole(src, rt, section);
	config_handler_keys_check(src, rt, section);
	config_check_within_route(src, rt, section);
	if ((rc = route_set_key(rt)) < 0)
		goto fail;
	config_auth_check_route(src, rt, section);
	if ((rc = set_source(src, rt, section)) < 0)
		goto fail;
	*out = rt;
	return 0;
fail:
	route_free(rt);
	return rc;
}

int
config_route_check_defaults(const struct config_source *src, struct route *const *routes,
			    size_t n_routes)
{
	const struct ini *ini = src->ini;
	const struct config_key *key;
	struct param_rule_bytes bytes;
	struct route *scratch;
	char why[WHY_LEN];
	int rc = 0;

	if ((scratch = calloc(1, sizeof(*scratch))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; rc == 0 && i < ini->n_entries; i++) {
		const struct ini_entry *e = &ini->entries[i];
		bool is_used = false;

		if (e->section != src->defaults)
			continue;
		if (!is_rule(e)) {
			key = config_key_find(CONFIG_ROUTE, e->key);
			if (key != NULL && key->handler != NULL)
				rc = config_handler_keys_try(src, e, key);
			else if (key != NULL && key->set != NULL && strcmp(key->name, "path") != 0)
				rc = set_entry(src, key, scratch, e);
			continue;
		}
		for (size_t r = 0; r < n_routes; r++)
			is_used = is_used || names_param(routes[r], e->key + strlen(PARAM_PREFIX));
		if (param_rule_check(e->value, &bytes, why, sizeof(why)) < 0)
			config_fault(src, e, why);
		else if (!is_used)
			config_fault(src, e,
				     "no path and no template of any route names this parameter");
	}
	route_free(scratch);
	return rc;
}
