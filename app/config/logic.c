#include "config/logic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/keys.h"
#include "logic/library.h"
#include "logic/names.h"
#include "logic/slips.h"
#include "logic/stages.h"

#define ADD_PREFIX "add."
#define WHY_LEN    512

/* Parameters */

static int
on_param(void *ctx, const char *name, size_t len)
{
	struct route *rt = ctx;

	if (name != NULL)
		return route_add_param(&rt->logic.params, name, len);
	rt->logic.uses_any_param = true;
	return 0;
}

/* If the logic uses a claim, feeds depend on it. */
static int
add_claim(char ***list, const char *name, size_t len)
{
	char text[WHY_LEN];

	if (name == NULL || len >= sizeof(text) / 2)
		return route_add_param(list, TEMPLATE_CLAIMS, strlen(TEMPLATE_CLAIMS));
	snprintf(text, sizeof(text), TEMPLATE_CLAIMS ".%.*s", (int)len, name);
	return route_add_param(list, text, strlen(text));
}

static int
on_claim(void *ctx, const char *name, size_t len)
{
	return add_claim(&((struct route *)ctx)->logic.params, name, len);
}

static int
on_user(void *ctx)
{
	struct route *rt = ctx;

	return route_add_param(&rt->logic.params, TEMPLATE_USER, strlen(TEMPLATE_USER));
}

static int
find_params(struct route *rt, const char *text)
{
	static const struct names_ops ops = {
	    .on_param = on_param, .on_claim = on_claim, .on_user = on_user};

	return names_walk(text, strlen(text), &ops, rt);
}

/* Expressions about a request do not divide feeds. */
static int
on_request_param(void *ctx, const char *name, size_t len)
{
	struct route *rt = ctx;

	return name != NULL ? route_add_param(&rt->logic.request_params, name, len) : 0;
}

/* A stream must end when a claim changes that allow looked at. */
static int
on_allow_claim(void *ctx, const char *name, size_t len)
{
	return add_claim(&((struct route *)ctx)->logic.request_params, name, len);
}

static int
find_request_params(struct route *rt, const char *text, bool is_allow)
{
	const struct names_ops ops = {.on_param = on_request_param,
				      .on_claim = is_allow ? on_allow_claim : NULL};

	return names_walk(text, strlen(text), &ops, rt);
}

/* Expressions */

/* Notes what would probably fail on each message. */
static void
note_slips(const struct config_source *src, const struct ini_entry *e, const char *text,
	   bool is_file)
{
	char why[WHY_LEN];

	if (slips_look(text, is_file, why, sizeof(why)) < 0)
		config_note(src, e, why);
}

static int
need_sandbox(struct stages *st)
{
	return st->sandbox != NULL ? 0 : sandbox_new(&st->sandbox, library_open);
}

/* Refuses names of a message in an expression that is evaluated before there is one. */
static int
on_too_early(void *ctx, const char *name, size_t len, unsigned line)
{
	static const char *const names[] = {"message", "text", "channel", "id"};
	char *why = ctx;

	(void)line;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) != len || strncmp(names[i], name, len) != 0)
			continue;
		snprintf(why, WHY_LEN,
			 "there is no \"%s\" when it is asked; there are user, claims, params",
			 names[i]);
		return -EINVAL;
	}
	return 0;
}

static void
check_allow(const struct config_source *src, const struct ini_entry *e, const char *text)
{
	static const struct names_ops ops = {.on_free = on_too_early};
	char why[WHY_LEN];

	if (names_walk(text, strlen(text), &ops, why) == -EINVAL)
		config_fault(src, e, why);
}

static int
compile(const struct config_source *src, struct route *rt, size_t section, const char *key,
	const char *text, struct expression **out)
{
	struct stages *st = &rt->stream.stages;
	char why[WHY_LEN];
	int rc;

	if (!config_is_set(text))
		return 0;
	if ((rc = need_sandbox(st)) < 0)
		return rc;
	rc = expression_new(out, st->sandbox, text, why, sizeof(why));
	if (rc == -ENOMEM)
		return rc;
	if (rc == -EINVAL) {
		config_fault(src, config_entry(src, section, key), why);
		return 0;
	}
	note_slips(src, config_entry(src, section, key), text, false);
	if (strcmp(key, "allow") == 0)
		check_allow(src, config_entry(src, section, key), text);
	if (strncmp(key, "publish_", strlen("publish_")) == 0 || strcmp(key, "allow") == 0)
		return find_request_params(rt, text, strcmp(key, "allow") == 0);
	return find_params(rt, text);
}

/* Scripts */

/* The path, relative to the folder of the file that names it. The caller frees it. */
static char *
script_path(const struct config_source *src, const struct ini_entry *e)
{
	const char *file = faults_file_name(src->faults, e->file), *slash = strrchr(file, '/');
	char *path;

	if (*e->value == '/' || slash == NULL)
		return strdup(e->value);
	return asprintf(&path, "%.*s%s", (int)(slash + 1 - file), file, e->value) < 0 ? NULL : path;
}

/* The whole file with a NUL behind it, for the caller to free; NULL with errno. */
static char *
read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f != NULL ? malloc(SCRIPT_LEN_MAX + 2) : NULL;
	size_t len = 0;
	int problem = errno;

	if (text != NULL) {
		errno = 0;
		len = fread(text, 1, SCRIPT_LEN_MAX + 1, f);
		problem = ferror(f)                         ? errno
			  : len > SCRIPT_LEN_MAX            ? EFBIG
			  : memchr(text, '\0', len) != NULL ? EILSEQ
							    : 0;
		text[len] = '\0';
	}
	if (f != NULL)
		fclose(f);
	if (problem == 0)
		return text;
	free(text);
	errno = problem;
	return NULL;
}

static int
load_script(struct route *rt, const char *path, const char *text, char *why)
{
	struct stages *st = &rt->stream.stages;
	const char *slash = strrchr(path, '/');
	int rc;

	if ((rc = need_sandbox(st)) < 0)
		return rc;
	return script_new(&st->script, st->sandbox, slash != NULL ? slash + 1 : path, text, why,
			  WHY_LEN);
}

static int
compile_script(const struct config_source *src, struct route *rt, size_t section)
{
	const struct ini_entry *e = config_entry(src, section, "script");
	char why[WHY_LEN], *path, *text;
	int rc;

	if (!config_is_set(rt->logic.script) || e == NULL)
		return 0;
	if ((path = script_path(src, e)) == NULL)
		return -ENOMEM;
	(void)faults_file(src->faults, path); /* it counts as one of the files that were read */
	if ((text = read_file(path)) != NULL) {
		if ((rc = load_script(rt, path, text, why)) == 0) {
			note_slips(src, e, text, true);
			rc = find_params(rt, text);
		}
	} else {
		rc = errno == ENOMEM ? -ENOMEM : -EINVAL;
		snprintf(why, sizeof(why), "%s: %s", path,
			 errno == EILSEQ ? "it holds a NUL" : strerror(errno));
	}
	if (rc == -EINVAL) {
		config_fault(src, e, why);
		rc = 0;
	}
	free(path);
	free(text);
	return rc;
}

/* Added fields */

static int
add_field(struct shape *sh, const struct ini_entry *e, char *why)
{
	const struct config_key *key = config_key_find(CONFIG_ROUTE, e->key);
	struct shape_add *v = reallocarray(sh->adds, sh->n_adds + 1, sizeof(*v));
	struct shape_add add = {0};
	int rc;

	if (v == NULL)
		return -ENOMEM;
	sh->adds = v;
	if (e->key[strlen(ADD_PREFIX)] == '\0') {
		snprintf(why, WHY_LEN, "a name is missing: " ADD_PREFIX "server_time = {now}");
		return -EINVAL;
	}
	if ((rc = template_compile(&add.value, e->value, key->allow, why, WHY_LEN)) < 0)
		return rc;
	if ((add.name = strdup(e->key + strlen(ADD_PREFIX))) == NULL) {
		template_free(add.value);
		return -ENOMEM;
	}
	v[sh->n_adds++] = add;
	return 0;
}

static int
add_fields(const struct config_source *src, struct route *rt, size_t section)
{
	char why[WHY_LEN];

	for (size_t i = 0; i < src->ini->n_entries; i++) {
		const struct ini_entry *e = &src->ini->entries[i];
		int rc;

		if (!config_adds_here(src, section, e))
			continue;
		rc = add_field(&rt->stream.stages.shape, e, why);
		if (rc == -EINVAL)
			config_fault(src, e, why);
		else if (rc < 0)
			return rc;
	}
	return 0;
}

int
config_logic_put_adds(const struct config_source *src, size_t section, struct buf *b)
{
	int rc = 0;

	for (size_t i = 0; i < src->ini->n_entries && rc == 0; i++) {
		const struct ini_entry *e = &src->ini->entries[i];

		if (config_adds_here(src, section, e))
			rc = config_put_value(b, e->key, e->value);
	}
	return rc;
}

int
config_logic_build(const struct config_source *src, struct route *rt, size_t section)
{
	struct stages *st = &rt->stream.stages;
	int rc;

	if ((rc = compile(src, rt, section, "allow", rt->allow_text, &rt->allow)) < 0)
		return rc;
	st->route = rt->name;
	if (rt->handler != NULL && rt->handler->answer != NULL) {
		for (size_t i = 0; i < src->ini->n_entries; i++) {
			const struct ini_entry *e = &src->ini->entries[i];

			if (e->section == section && config_is_add(e))
				config_fault(src, e,
					     "the handler gives a short answer: it has no "
					     "messages");
		}
		return 0;
	}
	/* A new group begins with everything that the stream has. */
	if (rt->handler != NULL && rt->handler->kind == HANDLER_QUEUE &&
	    config_entry(src, section, "start") == NULL)
		rt->stream.start.is_beginning = true;
	if ((rc = compile(src, rt, section, "filter", rt->logic.filter, &st->filter)) < 0 ||
	    (rc = compile(src, rt, section, "transform", rt->logic.transform, &st->transform)) <
		0 ||
	    (rc = compile(src, rt, section, "until", rt->logic.until, &st->until)) < 0 ||
	    (rc = compile_script(src, rt, section)) < 0 || (rc = add_fields(src, rt, section)) < 0)
		return rc;
	if ((rc = compile(src, rt, section, "publish_filter", rt->publish.filter_text,
			  &rt->publish.filter)) < 0)
		return rc;
	return compile(src, rt, section, "publish_transform", rt->publish.transform_text,
		       &rt->publish.transform);
}
