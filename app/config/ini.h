#ifndef SLUICE_INI_H
#define SLUICE_INI_H

/*
 * ini - sections, keys and values of INI files, with their lines.
 *
 * iniparser keeps no lines, lets a later duplicate win, cuts a value at any ";" or "#", loses the
 * section [route:x], joins lines at a "\", and takes a directory for an empty file; and what a
 * "\" in quotes means depends on its version. So each line is first scanned here, and all that
 * would be read otherwise than it looks is a fault. iniparser then has to agree with every value.
 */
#include <stddef.h>

#include "config/faults.h"

struct ini_section {
	char *name; /* as written */
	unsigned file, line;
};

struct ini_entry {
	size_t section; /* index */
	char *key;      /* as written */
	char *value;
	unsigned file, line;
};

struct ini {
	struct ini_section *sections;
	size_t n_sections;
	struct ini_entry *entries;
	size_t n_entries;
};

void ini_init(struct ini *ini);
void ini_fini(struct ini *ini);

/*
 * ini_read - adds the contents of the file. A line with a fault adds nothing. Upper and lower case
 * are the same in sections and keys. Returns 0, even if there are faults; -ENOMEM.
 */
int ini_read(struct ini *ini, const char *path, struct faults *faults);

/*
 * ini_add_section, ini_add_entry - add as if it had been read. What does not end with a NUL has a
 * length. The number of a new section is n_sections - 1. Return 0, -ENOMEM.
 */
int ini_add_section(struct ini *ini, const char *name, size_t len, unsigned file, unsigned line);
int ini_add_entry(struct ini *ini, const struct ini_entry *where, const char *key, size_t key_len,
		  const char *value, size_t value_len);

/* ini_last_line - the last line that can belong to the section. */
unsigned ini_last_line(const struct ini *ini, size_t section);

/* ini_remove - removes the entry with this number. */
void ini_remove(struct ini *ini, size_t n);

/* ini_find - the entry of a section with this key, or NULL. */
const struct ini_entry *ini_find(const struct ini *ini, size_t section, const char *key);

#endif
