#ifndef SLUICE_CONFIG_FILES_H
#define SLUICE_CONFIG_FILES_H

/*
 * files - what belongs to a configuration besides its first file: included files, modules, and
 * variables of the environment.
 */
#include "config/between_routes.h"
#include "config/config.h"
#include "config/faults.h"
#include "config/ini.h"
#include "config/keys.h"

/* A configuration while it is loaded. */
struct loader {
	struct config *cfg;
	struct ini ini;
	struct ini env; /* one section for each of files_env_prefixes, with the same name */
	struct faults faults;
	/* [server], [redis] and [auth] in ini, or CONFIG_NO_SECTION */
	size_t sections[CONFIG_ROUTE];
	size_t defaults;
	struct config_built *built; /* cfg->routes, with their sections */
	bool is_auth_faulty;        /* something in [auth]: what it lacks may follow from that */
};

/* How the names of a section's variables begin, by enum config_section: "SLUICE_SERVER_". */
extern const char *const files_env_prefixes[];

/*
 * Each adds what it finds to ld, and what is wrong to its faults. They return 0, -ENOMEM.
 * files_load_modules() must be called before any key is looked up, because handlers have keys.
 */
int files_read_includes(struct loader *ld,
			const char *path); /* includes of the first file and of what it includes */
int files_read_environment(struct loader *ld); /* known keys become ld->env */
int files_load_modules(struct loader *ld);

#endif
