#ifndef SLUICE_FAULTS_H
#define SLUICE_FAULTS_H

/*
 * faults - what is wrong with a configuration. Faults are collected, and then printed in the order
 * of the files and their lines, each once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct fault {
	unsigned file, line;
	/* the line behind which it is printed: its own, unless it follows from others */
	unsigned place;
	bool is_note; /* it is allowed, and probably not meant */
	char *text;
};

struct faults {
	char **files;
	size_t n_files;
	struct fault *v;
	size_t n, n_notes;     /* how many there are in all, and how many of them are notes */
	bool is_out_of_memory; /* at least one fault could not be kept */
};

void faults_init(struct faults *fs);
void faults_fini(struct faults *fs);

/*
 * faults_file - adds a name under which faults are reported. Returns its number, in the order of
 * the calls.
 */
unsigned faults_file(struct faults *fs, const char *name);
const char *faults_file_name(const struct faults *fs, unsigned file);

/*
 * faults_add - adds a fault; line 0 stands for the file as a whole. Control bytes of the text are
 * written as \xNN, and it is cut at 700 bytes, so that a fault is one line whatever the file holds.
 */
void faults_add(struct faults *fs, unsigned file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* faults_note - as faults_add(), for what is allowed: "note: " stands before the text. */
void faults_note(struct faults *fs, unsigned file, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * faults_add_behind - for something that is missing between line and last. What is wrong between
 * those lines may be the cause, so it is printed first.
 */
void
faults_add_behind(struct faults *fs, unsigned file, unsigned line, unsigned last, const char *text);

/* faults_print - prints "FILE:LINE: text", a line each. Equal lines are printed once. */
void faults_print(struct faults *fs, FILE *out);

#endif
