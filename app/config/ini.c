#include "config/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <iniparser.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

/* iniparser 4.1 and 4.2 read a line with fgets() into 1,024 bytes: its end and a NUL take two. */
#define LINE_LEN_MAX 1022
#define FILE_LEN_MAX ((size_t)1 << 20)

/* For keys that stand in no section, or in a section that is a fault itself. */
#define SECTION_NONE ((size_t)-1)
#define SECTION_BAD  ((size_t)-2)

struct ini_scan {
	struct ini *ini;
	struct faults *faults;
	unsigned file, line;
	size_t section;
	int rc; /* 0, or -ENOMEM once memory was short */
};

void
ini_init(struct ini *ini)
{
	*ini = (struct ini){0};
}

void
ini_fini(struct ini *ini)
{
	for (size_t i = 0; i < ini->n_sections; i++)
		free(ini->sections[i].name);
	for (size_t i = 0; i < ini->n_entries; i++) {
		free(ini->entries[i].key);
		free(ini->entries[i].value);
	}
	free(ini->sections);
	free(ini->entries);
	ini_init(ini);
}

const struct ini_entry *
ini_find(const struct ini *ini, size_t section, const char *key)
{
	for (size_t i = 0; i < ini->n_entries; i++) {
		const struct ini_entry *e = &ini->entries[i];

		if (e->section == section && strcasecmp(e->key, key) == 0)
			return e;
	}
	return NULL;
}

unsigned
ini_last_line(const struct ini *ini, size_t section)
{
	const struct ini_section *s = &ini->sections[section];
	unsigned last = UINT_MAX;

	for (size_t i = 0; i < ini->n_sections; i++) {
		const struct ini_section *other = &ini->sections[i];

		if (other->file == s->file && other->line > s->line && other->line <= last)
			last = other->line - 1;
	}
	return last;
}

void
ini_remove(struct ini *ini, size_t n)
{
	struct ini_entry *e = &ini->entries[n];

	free(e->key);
	free(e->value);
	ini->n_entries--;
	memmove(e, e + 1, (ini->n_entries - n) * sizeof(*e));
}

int
ini_add_section(struct ini *ini, const char *name, size_t len, unsigned file, unsigned line)
{
	struct ini_section *v;

	if ((v = reallocarray(ini->sections, ini->n_sections + 1, sizeof(*v))) == NULL)
		return -ENOMEM;
	ini->sections = v;
	v += ini->n_sections;
	*v = (struct ini_section){.name = strndup(name, len), .file = file, .line = line};
	if (v->name == NULL)
		return -ENOMEM;
	ini->n_sections++;
	return 0;
}

int
ini_add_entry(struct ini *ini, const struct ini_entry *where, const char *key, size_t key_len,
	      const char *value, size_t value_len)
{
	struct ini_entry *v;

	if ((v = reallocarray(ini->entries, ini->n_entries + 1, sizeof(*v))) == NULL)
		return -ENOMEM;
	ini->entries = v;
	v += ini->n_entries;
	*v = *where;
	v->key = strndup(key, key_len);
	v->value = strndup(value, value_len);
	if (v->key == NULL || v->value == NULL) {
		free(v->key);
		free(v->value);
		return -ENOMEM;
	}
	ini->n_entries++;
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Removes the blanks at both ends: moves *p and *len. */
static void
strip(const char **p, size_t *len)
{
	while (*len > 0 && is_blank(**p)) {
		(*p)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*p)[*len - 1]))
		(*len)--;
}

/* Writes "line 4" into text, or "other.ini:4" if that is not the file that is being read. */
static const char *
place(const struct ini_scan *sc, char *text, size_t text_len, unsigned file, unsigned line)
{
	if (file == sc->file)
		snprintf(text, text_len, "on line %u", line);
	else
		snprintf(text, text_len, "in %s:%u", faults_file_name(sc->faults, file), line);
	return text;
}

static size_t
find_section(const struct ini *ini, const char *p, size_t len)
{
	for (size_t i = 0; i < ini->n_sections; i++) {
		const char *name = ini->sections[i].name;

		if (strlen(name) == len && strncasecmp(name, p, len) == 0)
			return i;
	}
	return SECTION_NONE;
}

/* A line that begins with "[". */
static void
scan_section(struct ini_scan *sc, const char *p, size_t len)
{
	const char *end = memchr(p, ']', len);
	char where[256];
	size_t n, found;

	sc->section = SECTION_BAD;
	if (end == NULL || end != p + len - 1) {
		faults_add(sc->faults, sc->file, sc->line,
			   end == NULL
			       ? "a section has no \"]\" at its end: \"%.*s\""
			       : "nothing may stand behind the \"]\" of a section: \"%.*s\"",
			   (int)len, p);
		return;
	}
	p++;
	n = len - 2;
	strip(&p, &n);
	if (n == 0 || memchr(p, '[', n) != NULL) {
		faults_add(sc->faults, sc->file, sc->line, "[%.*s] is no section's name", (int)n,
			   p);
		return;
	}
	if (memchr(p, ':', n) != NULL) {
		faults_add(sc->faults, sc->file, sc->line,
			   "[%.*s]: iniparser loses a section with a \":\" in its name; write "
			   "[route NAME]",
			   (int)n, p);
		return;
	}
	if ((found = find_section(sc->ini, p, n)) != SECTION_NONE) {
		const struct ini_section *first = &sc->ini->sections[found];

		faults_add(sc->faults, sc->file, sc->line, "[%.*s] is there already, %s", (int)n, p,
			   place(sc, where, sizeof(where), first->file, first->line));
		return;
	}
	if ((sc->rc = ini_add_section(sc->ini, p, n, sc->file, sc->line)) == 0)
		sc->section = sc->ini->n_sections - 1;
}

/*
 * Finds the value in the text behind "="; moves *p and *len. Returns NULL, or why iniparser would
 * read something else than what stands there.
 */
static const char *
scan_value(const char **p, size_t *len)
{
	const char *end, *rest;

	strip(p, len);
	if (*len > 0 && (**p == '"' || **p == '\'')) {
		const char *text = *p + 1;

		if ((end = memchr(text, **p, *len - 1)) == NULL)
			return "the quote has no end";
		if (memchr(text, '\\', (size_t)(end - text)) != NULL)
			return "a \"\\\" in quotes is read otherwise by other versions of "
			       "iniparser; "
			       "[.] does in an expression what \\. does";
		for (rest = end + 1; rest < *p + *len && is_blank(*rest); rest++)
			;
		if (rest < *p + *len && *rest != ';' && *rest != '#')
			return "iniparser drops what stands behind the quote's end";
		*p = text;
		*len = (size_t)(end - text);
		return NULL;
	}
	for (end = *p; end < *p + *len && *end != ';' && *end != '#'; end++)
		;
	if (end < *p + *len && (end == *p || !is_blank(end[-1])))
		return "iniparser cuts a value at \";\" and \"#\"; put the whole value in quotes";
	*len = (size_t)(end - *p);
	strip(p, len);
	return NULL;
}

static const struct ini_entry *
find_key(const struct ini_scan *sc, const char *key, size_t len)
{
	for (size_t i = 0; i < sc->ini->n_entries; i++) {
		const struct ini_entry *e = &sc->ini->entries[i];

		if (e->section == sc->section && strlen(e->key) == len &&
		    strncasecmp(e->key, key, len) == 0)
			return e;
	}
	return NULL;
}

static void
scan_key(struct ini_scan *sc, const char *p, size_t len)
{
	const char *eq = memchr(p, '=', len), *key = p, *value, *why;
	const struct ini_entry *first;
	struct ini_entry where;
	size_t key_len, value_len;
	char first_place[256];

	if (eq == NULL) {
		faults_add(
		    sc->faults, sc->file, sc->line,
		    "\"%.*s\" has no \"=\": [SECTION], KEY = VALUE or a comment behind # or ;",
		    (int)len, p);
		return;
	}
	key_len = (size_t)(eq - p);
	strip(&key, &key_len);
	if (key_len == 0) {
		faults_add(sc->faults, sc->file, sc->line, "no key stands before the \"=\"");
		return;
	}
	if (sc->section == SECTION_BAD)
		return;
	if (sc->section == SECTION_NONE) {
		faults_add(sc->faults, sc->file, sc->line,
			   "\"%.*s\" stands before the first section", (int)key_len, key);
		return;
	}
	if ((first = find_key(sc, key, key_len)) != NULL) {
		faults_add(sc->faults, sc->file, sc->line, "[%s] \"%.*s\" is there already, %s",
			   sc->ini->sections[sc->section].name, (int)key_len, key,
			   place(sc, first_place, sizeof(first_place), first->file, first->line));
		return;
	}
	value = eq + 1;
	value_len = len - (size_t)(value - p);
	if ((why = scan_value(&value, &value_len)) != NULL) {
		faults_add(sc->faults, sc->file, sc->line, "[%s] %.*s: %s",
			   sc->ini->sections[sc->section].name, (int)key_len, key, why);
		return;
	}
	where = (struct ini_entry){.section = sc->section, .file = sc->file, .line = sc->line};
	sc->rc = ini_add_entry(sc->ini, &where, key, key_len, value, value_len);
}

/*
 * Returns NULL, or why the line cannot be read at all. The only control byte that it may hold is a
 * tab.
 */
static const char *
refuse_bytes(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\0')
			return "a NUL byte";
		if (p[i] == '\r')
			return "a carriage return within the line";
		if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return "a control byte";
	}
	return NULL;
}

static void
scan_line(struct ini_scan *sc, const char *p, size_t len)
{
	const char *why;

	if (len > LINE_LEN_MAX) {
		faults_add(
		    sc->faults, sc->file, sc->line,
		    "the line has %zu bytes; iniparser reads at most 1,024, its end included", len);
		return;
	}
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if ((why = refuse_bytes(p, len)) != NULL) {
		faults_add(sc->faults, sc->file, sc->line, "%s", why);
		return;
	}
	strip(&p, &len);
	if (len > 0 && p[len - 1] == '\\')
		faults_add(sc->faults, sc->file, sc->line,
			   "a \"\\\" at the end joins the next line to this one, comment or not; "
			   "a list may be as long as the line");
	else if (len == 0 || *p == '#' || *p == ';')
		return;
	else if (*p == '[')
		scan_section(sc, p, len);
	else
		scan_key(sc, p, len);
}

static void
scan_text(struct ini_scan *sc, const char *p, size_t len)
{
	const char *end = p + len, *eol;

	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		faults_add(sc->faults, sc->file, 1,
			   "the file begins with a byte order mark; save it as UTF-8 without one");
		p += 3;
	}
	if (memchr(p, '\n', (size_t)(end - p)) == NULL &&
	    memchr(p, '\r', (size_t)(end - p)) != NULL) {
		faults_add(sc->faults, sc->file, 1,
			   "lines end with a carriage return alone; LF or CRLF ends a line");
		return;
	}
	for (sc->line = 1; p < end && sc->rc == 0; sc->line++) {
		if ((eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
			eol = end;
		scan_line(sc, p, (size_t)(eol - p));
		p = eol + 1;
	}
}

/* iniparser would write its own errors to stderr; ours say the same, and more. */
static int
be_quiet(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

/* The values of a file without faults must be the same as those that iniparser reads. */
static int
compare_values(const struct ini_scan *sc, const char *path, size_t first_entry)
{
	const struct ini *ini = sc->ini;
	dictionary *dict;
	struct buf key;
	int rc = 0;

	iniparser_set_error_callback(be_quiet);
	dict = iniparser_load(path);
	iniparser_set_error_callback(NULL);
	if (dict == NULL) {
		faults_add(sc->faults, sc->file, 0, "iniparser refuses the file");
		return 0;
	}
	buf_init(&key, (size_t)4 * LINE_LEN_MAX);
	for (size_t i = first_entry; i < ini->n_entries && rc == 0; i++) {
		const struct ini_entry *e = &ini->entries[i];
		const char *value;

		buf_truncate(&key, 0);
		if ((rc = buf_printf(&key, "%s:%s", ini->sections[e->section].name, e->key)) < 0 ||
		    (rc = buf_putc(&key, '\0')) < 0)
			break;
		value = iniparser_getstring(dict, key.p, NULL);
		if (value == NULL || strcmp(value, e->value) != 0)
			faults_add(sc->faults, e->file, e->line,
				   "iniparser reads another value of %s: \"%s\"", e->key,
				   value == NULL ? "" : value);
	}
	buf_fini(&key);
	iniparser_freedict(dict);
	return rc;
}

/* Reads the whole file into b. On failure *why says what is wrong with it. */
static int
read_file(struct buf *b, const char *path, const char **why)
{
	struct stat st;
	ssize_t n;
	int fd, rc = 0;

	/* Non-blocking, because a FIFO without a writer would stop us here for ever. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) < 0) {
		*why = strerror(errno);
		return -EINVAL;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		*why = "not a regular file";
		rc = -EINVAL;
	}
	while (rc == 0 && (rc = buf_reserve(b, 65536)) == 0) {
		if ((n = read(fd, b->p + b->len, 65536)) == 0)
			break;
		if (n > 0) {
			buf_grow(b, (size_t)n);
		} else if (errno != EINTR) {
			*why = strerror(errno);
			rc = -EINVAL;
		}
	}
	if (rc == -EMSGSIZE) {
		*why = "larger than 1 MiB";
		rc = -EINVAL;
	}
	if (rc == 0 && b->len == 0) {
		*why = "the file is empty";
		rc = -EINVAL;
	}
	close(fd);
	return rc;
}

int
ini_read(struct ini *ini, const char *path, struct faults *faults)
{
	struct ini_scan sc = {.ini = ini, .faults = faults, .section = SECTION_NONE};
	size_t first_entry = ini->n_entries, n_faults = faults->n;
	const char *why = NULL;
	struct buf text;

	sc.file = faults_file(faults, path);
	buf_init(&text, FILE_LEN_MAX + 65536);
	if ((sc.rc = read_file(&text, path, &why)) == 0) {
		scan_text(&sc, text.p, text.len);
		if (sc.rc == 0 && faults->n == n_faults)
			sc.rc = compare_values(&sc, path, first_entry);
	} else if (sc.rc == -EINVAL) {
		faults_add(faults, sc.file, 0, "%s", why);
		sc.rc = 0;
	}
	buf_fini(&text);
	return sc.rc;
}
