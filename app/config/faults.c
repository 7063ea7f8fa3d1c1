#include "config/faults.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define TEXT_CAP 700

void
faults_init(struct faults *fs)
{
	*fs = (struct faults){0};
}

void
faults_fini(struct faults *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		free(fs->v[i].text);
	for (size_t i = 0; i < fs->n_files; i++)
		free(fs->files[i]);
	free(fs->v);
	free(fs->files);
	faults_init(fs);
}

unsigned
faults_file(struct faults *fs, const char *name)
{
	char **files = reallocarray(fs->files, fs->n_files + 1, sizeof(*files));
	char *copy = strdup(name);

	if (files != NULL)
		fs->files = files;
	if (files == NULL || copy == NULL) {
		free(copy);
		fs->is_out_of_memory = true;
		return 0;
	}
	fs->files[fs->n_files] = copy;
	return (unsigned)fs->n_files++;
}

const char *
faults_file_name(const struct faults *fs, unsigned file)
{
	return file < fs->n_files ? fs->files[file] : "";
}

static char *
printable(const char *text)
{
	struct buf b;
	int rc = 0;

	buf_init(&b, 4 * TEXT_CAP + 1);
	for (const char *p = text; *p != '\0' && rc == 0; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			rc = buf_printf(&b, "\\x%02x", (unsigned char)*p);
		else
			rc = buf_putc(&b, *p);
	}
	if (rc == 0)
		rc = buf_putc(&b, '\0');
	if (rc < 0) {
		buf_fini(&b);
		return NULL;
	}
	return b.p;
}

static void
add(struct faults *fs, struct fault fault, const char *raw)
{
	struct fault *v = reallocarray(fs->v, fs->n + 1, sizeof(*v));

	if (v != NULL)
		fs->v = v;
	fault.text = printable(raw);
	if (v == NULL || fault.text == NULL) {
		free(fault.text);
		fs->is_out_of_memory = true;
		return;
	}
	fs->v[fs->n++] = fault;
}

__attribute__((format(printf, 3, 0))) static void
add_printed(struct faults *fs, struct fault fault, const char *fmt, va_list ap)
{
	char raw[TEXT_CAP];

	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	add(fs, fault, raw);
}

void
faults_add(struct faults *fs, unsigned file, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_printed(fs, (struct fault){.file = file, .line = line, .place = line}, fmt, ap);
	va_end(ap);
}

void
faults_note(struct faults *fs, unsigned file, unsigned line, const char *fmt, ...)
{
	const struct fault note = {.file = file, .line = line, .place = line, .is_note = true};
	va_list ap;

	fs->n_notes++;
	va_start(ap, fmt);
	add_printed(fs, note, fmt, ap);
	va_end(ap);
}

void
faults_add_behind(struct faults *fs, unsigned file, unsigned line, unsigned last, const char *text)
{
	char raw[TEXT_CAP];

	snprintf(raw, sizeof(raw), "%s", text);
	add(fs, (struct fault){.file = file, .line = line, .place = last}, raw);
}

/*
 * The text is compared last, so that equal faults stand side by side and the order is always the
 * same.
 */
static int
compare(const void *a, const void *b)
{
	const struct fault *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	if ((x->place == x->line) != (y->place == y->line))
		return x->place == x->line ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return strcmp(x->text, y->text);
}

void
faults_print(struct faults *fs, FILE *out)
{
	if (fs->n > 0)
		qsort(fs->v, fs->n, sizeof(*fs->v), compare);
	for (size_t i = 0; i < fs->n; i++) {
		const struct fault *f = &fs->v[i];

		if (i > 0 && compare(f, f - 1) == 0)
			continue;
		fputs(faults_file_name(fs, f->file), out);
		if (f->line > 0)
			fprintf(out, ":%u", f->line);
		fprintf(out, ": %s%s\n", f->is_note ? "note: " : "", f->text);
	}
}
