#include "config/files.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/strings.h"
#include "config/handler_keys.h"
#include "config/source.h"
#include "route/handlers.h"

enum { FILES_MAX = 1000, WHY_LEN = 512 };

extern char **environ;

const char *const files_env_prefixes[] = {
    [CONFIG_SERVER] = "SLUICE_SERVER_",
    [CONFIG_REDIS] = "SLUICE_REDIS_",
    [CONFIG_AUTH] = "SLUICE_AUTH_",
};

/* What is done with each file of a list. Returns 0, -ENOMEM. */
typedef int (*use_file)(struct loader *ld, const char *path, const struct ini_entry *where);

/* Has the file been read already? It may include itself, or be named twice, by different paths. */
static bool
is_read(const struct loader *ld, const char *path)
{
	struct stat st, other;

	if (stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < ld->faults.n_files; i++) {
		if (stat(ld->faults.files[i], &other) == 0 && other.st_dev == st.st_dev &&
		    other.st_ino == st.st_ino)
			return true;
	}
	return false;
}

static int
use_include(struct loader *ld, const char *path, const struct ini_entry *where)
{
	if (!is_read(ld, path))
		return ini_read(&ld->ini, path, &ld->faults);
	faults_add(&ld->faults, where->file, where->line,
		   "[server] include: %s has been read already: a file cannot include itself, nor "
		   "one that was included",
		   path);
	return 0;
}

static int
use_module(struct loader *ld, const char *path, const struct ini_entry *where)
{
	char why[WHY_LEN];
	int rc = handlers_load(path, why, sizeof(why));

	if (rc == 0)
		rc = config_handler_keys_refuse(why, sizeof(why));
	if (rc != -EINVAL)
		return rc;
	faults_add(&ld->faults, where->file, where->line, "[server] modules: %s", why);
	return 0;
}

/*
 * Uses one member of a list of files. A relative path starts at the folder of the file that names
 * it. The result always has a slash, because the dynamic linker would look for a bare name
 * elsewhere.
 */
static int
use_pattern(struct loader *ld, const char *file, const char *pattern, size_t len,
	    const struct ini_entry *where, use_file use)
{
	const char *slash = strrchr(file, '/');
	char *full;
	glob_t g = {0};
	int rc = 0, found;

	if (*pattern == '/')
		full = strndup(pattern, len);
	else if (asprintf(&full, "%.*s/%.*s", slash != NULL ? (int)(slash - file) : 1,
			  slash != NULL ? file : ".", (int)len, pattern) < 0)
		full = NULL;
	if (full == NULL)
		return -ENOMEM;
	found = glob(full, 0, NULL, &g);
	if (found == GLOB_NOSPACE)
		rc = -ENOMEM;
	else if (found == GLOB_NOMATCH && use == use_module && strpbrk(full, "*?[") != NULL)
		faults_add(&ld->faults, where->file, where->line,
			   "[server] modules: nothing matches %s; were the modules built, and are "
			   "they installed there?",
			   full);
	else if (found == GLOB_NOMATCH && strpbrk(full, "*?[") == NULL)
		faults_add(&ld->faults, where->file, where->line, "[server] %s: there is no %s",
			   where->key, full);
	else if (found == GLOB_ABORTED || g.gl_pathc > FILES_MAX)
		faults_add(&ld->faults, where->file, where->line,
			   "[server] %s: %s cannot be read, or is more than %d files", where->key,
			   full, FILES_MAX);
	else
		for (size_t i = 0; i < g.gl_pathc && rc == 0; i++)
			rc = use(ld, g.gl_pathv[i], where);
	globfree(&g);
	free(full);
	return rc;
}

int
files_read_includes(struct loader *ld, const char *path)
{
	const char *list = getenv("SLUICE_SERVER_INCLUDE"), *one;
	struct ini_entry where = {.key = (char *)"include"};
	size_t first_other, len;
	char *text = NULL;
	int rc = 0;

	first_other = ld->ini.n_entries;
	for (size_t i = 0; i < ld->ini.n_entries; i++) {
		const struct ini_entry *e = &ld->ini.entries[i];

		if (strcasecmp(ld->ini.sections[e->section].name, "server") == 0 &&
		    strcasecmp(e->key, "include") == 0) {
			where = *e;
			if (list == NULL)
				list = e->value;
		}
	}
	/* A copy, because the entries move in memory when more files are read. */
	if (list == NULL)
		return 0;
	if ((text = strdup(list)) == NULL)
		return -ENOMEM;
	list = text;
	while (rc == 0 && (one = strings_next(&list, &len)) != NULL)
		rc = use_pattern(ld, path, one, len, &where, use_include);
	for (size_t i = first_other; i < ld->ini.n_entries; i++) {
		const struct ini_entry *e = &ld->ini.entries[i];

		if (strcasecmp(e->key, "include") == 0 &&
		    strcasecmp(ld->ini.sections[e->section].name, "server") == 0)
			faults_add(&ld->faults, e->file, e->line,
				   "[server] include: an included file includes no others");
	}
	free(text);
	return rc;
}

/* For variables such as SLUICE_SERVER_WORKERS=2: known keys become entries of ld->env. */
static int
read_variable(struct loader *ld, enum config_section section, const char *name, unsigned file)
{
	const struct ini_entry where = {.section = section, .file = file};
	const char *eq = strchr(name, '=');
	const struct config_key *known;
	char key[128], text[256], *best;

	snprintf(key, sizeof(key), "%.*s", eq != NULL ? (int)(eq - name) : 0, name);
	if (eq == NULL)
		return 0;
	if ((known = config_key_find(section, key)) != NULL && eq[1] == '\0' && !known->or_empty) {
		faults_add(&ld->faults, file, 0, "%s%s: the variable is empty; unset it",
			   files_env_prefixes[section], key);
		return 0;
	}
	if (known != NULL)
		return ini_add_entry(&ld->env, &where, key, strlen(key), eq + 1, strlen(eq + 1));
	if (config_key_suggest(section, key, text, sizeof(text)) == NULL) {
		faults_add(&ld->faults, file, 0, "%s%s: there is no such key",
			   files_env_prefixes[section], key);
		return 0;
	}
	for (best = text; *best != '\0'; best++) {
		if (*best >= 'a' && *best <= 'z')
			*best = (char)(*best - 'a' + 'A');
	}
	faults_add(&ld->faults, file, 0, "%s%s: there is no such key; did you mean %s%s?",
		   files_env_prefixes[section], key, files_env_prefixes[section], text);
	return 0;
}

int
files_read_environment(struct loader *ld)
{
	unsigned file = faults_file(&ld->faults, "environment");
	int rc = 0;

	for (int s = CONFIG_SERVER; s < CONFIG_ROUTE && rc == 0; s++)
		rc = ini_add_section(&ld->env, files_env_prefixes[s], strlen(files_env_prefixes[s]),
				     file, 0);
	for (char **v = environ; *v != NULL && rc == 0; v++) {
		for (int s = CONFIG_SERVER; s < CONFIG_ROUTE && rc == 0; s++) {
			size_t len = strlen(files_env_prefixes[s]);

			if (strncmp(*v, files_env_prefixes[s], len) == 0)
				rc = read_variable(ld, (enum config_section)s, *v + len, file);
		}
	}
	return rc;
}

int
files_load_modules(struct loader *ld)
{
	const size_t section = ld->sections[CONFIG_SERVER];
	const struct ini_entry *e = ini_find(&ld->env, CONFIG_SERVER, "modules");
	const char *file = ".", *list, *one;
	size_t len;
	int rc = 0;

	if (e == NULL && section != CONFIG_NO_SECTION &&
	    (e = ini_find(&ld->ini, section, "modules")) != NULL)
		file = faults_file_name(&ld->faults, e->file);
	if (e == NULL)
		return 0;
	list = e->value;
	while (rc == 0 && (one = strings_next(&list, &len)) != NULL)
		rc = use_pattern(ld, file, one, len, e, use_module);
	return rc;
}
