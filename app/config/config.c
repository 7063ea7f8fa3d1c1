#include "config/config.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/strings.h"
#include "base/suggest.h"
#include "config/auth.h"
#include "config/between_routes.h"
#include "config/cluster.h"
#include "config/files.h"
#include "config/handler_keys.h"
#include "config/ini.h"
#include "config/keys.h"
#include "config/mux.h"
#include "config/route.h"
#include "config/values.h"
#include "route/handlers.h"

#define CONFIG_DEFAULT_PATH "/etc/sluice/sluice.ini"
#define ROUTE_NAME_MAX      64
#define WHY_LEN             512

const char *
config_path(const char *option)
{
	const char *env = getenv("SLUICE_CONFIG");

	if (option != NULL)
		return option;
	return env != NULL && *env != '\0' ? env : CONFIG_DEFAULT_PATH;
}

void
config_free(struct config *cfg)
{
	if (cfg == NULL)
		return;
	for (size_t i = 0; i < cfg->n_routes; i++)
		route_free(cfg->routes[i]);
	free(cfg->routes);
	free(cfg->notes);
	free(cfg->files);
	free(cfg->server.listen);
	free(cfg->server.socket_user);
	free(cfg->server.socket_group);
	free(cfg->server.base);
	free(cfg->server.user);
	free(cfg->server.group);
	free(cfg->server.log);
	free(cfg->server.quarantine);
	redis_settings_fini(&cfg->redis);
	auth_settings_fini(&cfg->auth);
	strings_free(cfg->server.trusted_proxies);
	free(cfg);
}

/* Sections */

/* What stands behind "route" and blanks; NULL if the section is none of a route. */
static const char *
route_name(const char *section)
{
	if (strncasecmp(section, "route", 5) != 0 || strchr(" \t", section[5]) == NULL)
		return NULL;
	return section + 5 + strspn(section + 5, " \t");
}

static bool
is_route_name_ok(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_.-");

	return len > 0 && len <= ROUTE_NAME_MAX && name[len] == '\0';
}

/* Reports a section whose name begins with "route" and a blank, and is wrong. */
static void
fault_route_name(struct loader *ld, const struct ini_section *s, const char *name)
{
	if (*name == '\0')
		faults_add(&ld->faults, s->file, s->line, "[%s] has no name: [route NAME]",
			   s->name);
	else
		faults_add(
		    &ld->faults, s->file, s->line,
		    "[%s]: a route's name has at most %d letters, digits, \"_\", \".\", \"-\"",
		    s->name, ROUTE_NAME_MAX);
}

/*
 * What [rout x], [routex] and [routes/x] were probably meant to be, in text; NULL for another
 * section.
 */
static const char *
suggest_route(const char *section, char *text, size_t text_len)
{
	size_t len = strcspn(section, " \t");

	if (strcasecmp(section, "route") == 0)
		return "route NAME";
	if (strncasecmp(section, "route", 5) == 0) {
		snprintf(text, text_len, "route %s", section + 5 + strspn(section + 5, "s.-_/ \t"));
		return text;
	}
	snprintf(text, text_len, "%.*s", (int)len, section);
	if (section[len] == '\0' || suggest_distance(text, "route") > 2)
		return NULL;
	snprintf(text, text_len, "route%s", section + len);
	return text;
}

static void
fault_section(struct loader *ld, const struct ini_section *s)
{
	const char *name = route_name(s->name), *best;
	struct suggest sg;
	char text[256];

	if (name != NULL) {
		fault_route_name(ld, s, name);
		return;
	}
	if ((best = suggest_route(s->name, text, sizeof(text))) == NULL) {
		suggest_init(&sg, s->name);
		suggest_try(&sg, "server");
		suggest_try(&sg, "redis");
		suggest_try(&sg, "auth");
		suggest_try(&sg, "defaults");
		best = suggest_best(&sg);
	}
	faults_add(&ld->faults, s->file, s->line,
		   best != NULL
		       ? "unknown section [%s]; did you mean [%s]?"
		       : "unknown section [%s]; there are [server], [redis], [auth], [defaults] "
			 "and [route NAME]",
		   s->name, best);
}

static int
add_route_section(struct loader *ld, size_t section, const char *name)
{
	const struct config_source src = {&ld->ini, ld->defaults, &ld->faults, &ld->cfg->auth,
					  ld->is_auth_faulty};
	struct config *cfg = ld->cfg;
	struct config_built *built;
	struct route **routes;
	int rc;

	routes = reallocarray(cfg->routes, cfg->n_routes + 1, sizeof(struct route *));
	if (routes != NULL)
		cfg->routes = routes;
	built = reallocarray(ld->built, cfg->n_routes + 1, sizeof(*built));
	if (built != NULL)
		ld->built = built;
	if (routes == NULL || built == NULL)
		return -ENOMEM;
	if ((rc = config_route_build(&routes[cfg->n_routes], &src, section, name)) < 0)
		return rc;
	built[cfg->n_routes] = (struct config_built){routes[cfg->n_routes], section};
	cfg->n_routes++;
	return 0;
}

static void
find_sections(struct loader *ld)
{
	for (size_t i = 0; i < ld->ini.n_sections; i++) {
		const struct ini_section *s = &ld->ini.sections[i];
		const char *name = route_name(s->name);

		if (strcasecmp(s->name, "server") == 0)
			ld->sections[CONFIG_SERVER] = i;
		else if (strcasecmp(s->name, "redis") == 0)
			ld->sections[CONFIG_REDIS] = i;
		else if (strcasecmp(s->name, "auth") == 0)
			ld->sections[CONFIG_AUTH] = i;
		else if (strcasecmp(s->name, "defaults") == 0)
			ld->defaults = i;
		else if (name == NULL || !is_route_name_ok(name))
			fault_section(ld, s);
	}
}

/* Keys */

/*
 * Which keys may stand in the section with this number. Returns false if the section itself is a
 * fault.
 */
static bool
section_keys(const struct loader *ld, size_t section, enum config_section *out)
{
	const char *name = route_name(ld->ini.sections[section].name);

	if (section == ld->sections[CONFIG_SERVER])
		*out = CONFIG_SERVER;
	else if (section == ld->sections[CONFIG_REDIS])
		*out = CONFIG_REDIS;
	else if (section == ld->sections[CONFIG_AUTH])
		*out = CONFIG_AUTH;
	else if (section == ld->defaults || (name != NULL && is_route_name_ok(name)))
		*out = CONFIG_ROUTE;
	else
		return false;
	return true;
}

static void
fault_unknown_key(struct loader *ld, const struct ini_entry *e, enum config_section section)
{
	const char *in = ld->ini.sections[e->section].name, *best;
	char text[256];

	for (int other = CONFIG_SERVER; other <= CONFIG_ROUTE; other++) {
		if (config_key_find((enum config_section)other, e->key) == NULL)
			continue;
		faults_add(&ld->faults, e->file, e->line,
			   "[%s] unknown key \"%s\"; it belongs in [%s]", in, e->key,
			   other == CONFIG_ROUTE ? "route NAME"
						 : config_section_name((enum config_section)other));
		return;
	}
	best = config_key_suggest(section, e->key, text, sizeof(text));
	faults_add(&ld->faults, e->file, e->line,
		   best != NULL ? "[%s] unknown key \"%s\"; did you mean \"%s\"?"
				: "[%s] unknown key \"%s\"; sluice.ini(5) lists them all",
		   in, e->key, best);
}

/*
 * An empty value would have the same effect as no line at all, and nobody would notice. The entry
 * is removed, so that no second fault follows from it.
 */
#define EMPTY "the value is empty; leave the key out, or put a \"#\" before the line"

static bool
is_empty(const struct config_key *key, const struct ini_entry *e)
{
	return *e->value == '\0' && !key->or_empty;
}

static void
check_keys(struct loader *ld)
{
	const struct config_key *key;
	enum config_section section;

	for (size_t i = 0; i < ld->ini.n_entries; i++) {
		const struct ini_entry *e = &ld->ini.entries[i];

		if (!section_keys(ld, e->section, &section))
			continue;
		if ((key = config_key_find(section, e->key)) == NULL) {
			ld->is_auth_faulty |= section == CONFIG_AUTH;
			fault_unknown_key(ld, e, section);
		} else if (e->section == ld->defaults && strcasecmp(e->key, "path") == 0) {
			faults_add(&ld->faults, e->file, e->line,
				   "[defaults] path: each route has a path of its own");
		} else if (is_empty(key, e)) {
			ld->is_auth_faulty |= section == CONFIG_AUTH;
			faults_add(&ld->faults, e->file, e->line, "[%s] %s: " EMPTY,
				   ld->ini.sections[e->section].name, e->key);
			ini_remove(&ld->ini, i--);
		}
	}
}

/* Values */

static int
set_key(struct loader *ld, const struct config_key *key)
{
	const struct ini_entry *env = ini_find(&ld->env, key->section, key->name), *e = NULL;
	char why[WHY_LEN] = "";
	const char *text;
	int rc;

	if (env == NULL && ld->sections[key->section] != CONFIG_NO_SECTION)
		e = ini_find(&ld->ini, ld->sections[key->section], key->name);
	text = env != NULL ? env->value : e != NULL ? e->value : key->fallback;
	if (text == NULL)
		return 0;
	if (key->section == CONFIG_AUTH) {
		auth_settings_note(&ld->cfg->auth, key->name, strlen(key->name));
		auth_settings_note(&ld->cfg->auth, text, strlen(text));
	}
	rc = key->set(key, (char *)ld->cfg + key->offset, text, why, sizeof(why));
	if (rc != -EINVAL)
		return rc;
	ld->is_auth_faulty |= key->section == CONFIG_AUTH;
	if (env != NULL)
		faults_add(&ld->faults, env->file, 0, "%s%s: %s", files_env_prefixes[key->section],
			   env->key, why);
	else if (e != NULL)
		faults_add(&ld->faults, e->file, e->line, "[%s] %s: %s",
			   config_section_name(key->section), key->name, why);
	return 0;
}

static int
set_settings(struct loader *ld)
{
	const struct config_key *key;
	int rc = 0;

	for (size_t n = 0; rc == 0 && (key = config_key_nth(n)) != NULL; n++) {
		if (key->section != CONFIG_ROUTE && key->set != NULL)
			rc = set_key(ld, key);
	}
	return rc;
}

/* A fault of a section as a whole is reported at the key that shows it. */
static void
fault_at(struct loader *ld, enum config_section section, const char *key, const char *why)
{
	const struct ini_entry *e = NULL;

	if (ld->sections[section] != CONFIG_NO_SECTION)
		e = ini_find(&ld->ini, ld->sections[section], key);
	faults_add(&ld->faults, e != NULL ? e->file : 0, e != NULL ? e->line : 0, "[%s] %s: %s",
		   config_section_name(section), key, why);
}

static void
check_auth(struct loader *ld)
{
	const char *key, *why = config_auth_why(&ld->cfg->auth, &key);

	if (why != NULL && !ld->is_auth_faulty)
		fault_at(ld, CONFIG_AUTH, key, why);
}

/* May this user, who is in no further group, write to it? */
static bool
may_write(const struct stat *st, const struct passwd *pw)
{
	mode_t bit = st->st_uid == pw->pw_uid   ? S_IWUSR
		     : st->st_gid == pw->pw_gid ? S_IWGRP
						: S_IWOTH;

	return pw->pw_uid == 0 || (st->st_mode & bit) != 0;
}

/*
 * Root opens the log. The user that the program becomes must be able to open it anew after it was
 * moved away.
 */
static void
check_log(struct loader *ld)
{
	const char *log = ld->cfg->server.log, *user = ld->cfg->server.user, *slash;
	const struct ini_entry *e;
	const struct passwd *pw;
	char folder[PATH_MAX];
	struct stat st;

	if (log == NULL || user == NULL || (slash = strrchr(log, '/')) == NULL ||
	    ld->sections[CONFIG_SERVER] == CONFIG_NO_SECTION ||
	    (e = ini_find(&ld->ini, ld->sections[CONFIG_SERVER], "log")) == NULL)
		return;
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - log), log);
	/* cppcheck-suppress getpwnamCalled; only the main thread asks */
	if ((pw = getpwnam(user)) == NULL || stat(folder, &st) < 0 || may_write(&st, pw))
		return;
	faults_note(
	    &ld->faults, e->file, e->line,
	    "[server] log: user = %s may not write %s: a file that is moved away cannot be "
	    "opened anew at USR1; give the user a folder of its own, as /var/log/sluice/, or "
	    "log to syslog",
	    user, folder);
}

static void
check_redis(struct loader *ld)
{
	char why[WHY_LEN];
	const char *key = redis_settings_check(&ld->cfg->redis, why, sizeof(why));

	if (key != NULL)
		fault_at(ld, CONFIG_REDIS, key, why);
}

/*
 * The channel of keyspace notifications names a database. If the servers have different databases,
 * another one would be followed after a fail-over.
 */
static void
check_databases(struct loader *ld)
{
	const struct config *cfg = ld->cfg;
	bool follows_keys = false;

	for (size_t i = 0; i < cfg->n_routes; i++)
		follows_keys |= cfg->routes[i]->subjects[SUBJECT_KEYSPACE] != NULL;
	for (size_t i = 1; follows_keys && i < cfg->redis.n_urls; i++) {
		if (cfg->redis.urls[i].db == cfg->redis.urls[0].db)
			continue;
		fault_at(ld, CONFIG_REDIS, "url",
			 "a route has keyspace, so all must name the same database");
		return;
	}
}

static int
set_routes(struct loader *ld)
{
	const struct config_source src = {&ld->ini, ld->defaults, &ld->faults, &ld->cfg->auth,
					  ld->is_auth_faulty};
	const struct config *cfg = ld->cfg;
	int rc = 0;

	for (size_t i = 0; i < ld->ini.n_sections && rc == 0; i++) {
		const char *name = route_name(ld->ini.sections[i].name);

		if (name != NULL && is_route_name_ok(name))
			rc = add_route_section(ld, i, name);
	}
	if (rc == 0)
		rc = config_check_between_routes(&src, ld->built, cfg->n_routes, cfg->server.base);
	for (size_t i = 0; rc == 0 && i < cfg->n_routes; i++)
		config_check_cluster(&src, &cfg->redis, ld->built[i].rt, ld->built[i].section);
	for (size_t i = 0; rc == 0 && i < cfg->n_routes; i++)
		config_mux_check(&src, cfg->routes, cfg->n_routes, i, ld->built[i].section);
	if (rc == 0)
		rc = config_route_check_defaults(&src, cfg->routes, cfg->n_routes);
	return rc;
}

/*
 * First all text is read, because an included file may hold any section. Modules come before the
 * keys, because their handlers have keys. [auth] comes before the routes, which refer to it. What
 * concerns several routes comes when all are built.
 */
static int
load(struct loader *ld, const char *path)
{
	int rc;

	if ((rc = ini_read(&ld->ini, path, &ld->faults)) < 0 ||
	    (rc = files_read_includes(ld, path)) < 0 || (rc = files_read_environment(ld)) < 0)
		return rc;
	find_sections(ld);
	/* Modules first, because their handlers have keys. */
	if ((rc = files_load_modules(ld)) < 0)
		return rc;
	check_keys(ld);
	if ((rc = set_settings(ld)) < 0)
		return rc;
	check_auth(ld);
	check_redis(ld);
	check_log(ld);
	if ((rc = set_routes(ld)) < 0)
		return rc;
	check_databases(ld);
	if (ld->cfg->n_routes == 0 && ld->faults.n == ld->faults.n_notes)
		faults_add(&ld->faults, 0, 0,
			   "there is no [route NAME] section, so nothing to serve");
	if (ld->faults.is_out_of_memory)
		return -ENOMEM;
	return ld->faults.n > ld->faults.n_notes ? -EINVAL : 0;
}

/* Notes are printed only by the subcommands that ask for them: a server starts without them. */
static int
keep_notes(struct loader *ld)
{
	size_t len;
	FILE *f;

	if (ld->faults.n == 0)
		return 0;
	if ((f = open_memstream(&ld->cfg->notes, &len)) == NULL)
		return -ENOMEM;
	faults_print(&ld->faults, f);
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int
keep_files(struct loader *ld)
{
	size_t len;
	FILE *f = open_memstream(&ld->cfg->files, &len);

	if (f == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < ld->faults.n_files; i++)
		fprintf(f, "%s\n", faults_file_name(&ld->faults, i));
	return fclose(f) == 0 ? 0 : -ENOMEM;
}

int
config_load(struct config **out, const char *path, FILE *faults)
{
	struct loader ld = {.sections = {CONFIG_NO_SECTION, CONFIG_NO_SECTION, CONFIG_NO_SECTION},
			    .defaults = CONFIG_NO_SECTION};
	int rc = -ENOMEM;

	ini_init(&ld.ini);
	ini_init(&ld.env);
	faults_init(&ld.faults);
	if ((ld.cfg = calloc(1, sizeof(*ld.cfg))) != NULL)
		rc = load(&ld, path);
	if (rc == 0 && (rc = keep_files(&ld)) == 0)
		rc = keep_notes(&ld);
	else
		faults_print(&ld.faults, faults);
	if (rc == -ENOMEM)
		fprintf(faults, "%s: out of memory\n", path);
	if (rc < 0)
		config_free(ld.cfg);
	else
		*out = ld.cfg;
	ini_fini(&ld.ini);
	ini_fini(&ld.env);
	faults_fini(&ld.faults);
	free(ld.built);
	return rc;
}

bool
config_can_resume(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->n_routes; i++) {
		if (route_can_resume(cfg->routes[i]))
			return true;
	}
	return false;
}
