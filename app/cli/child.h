#ifndef SLUICE_CLI_CHILD_H
#define SLUICE_CLI_CHILD_H

/*
 * child - a program that a subcommand starts, and that never outlives it.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
	const char *name; /* for people */
	const char *log;  /* where what it says goes; NULL: where ours does */
	pid_t pid;        /* 0: it does not run */
};

/* child_find - the path of a program, also where only root's PATH leads. False: there is none. */
bool child_find(const char *program, char path[PATH_MAX]);

/*
 * child_start - argv ends with NULL; argv[0] is the path. It has a session of its own, so that the
 * terminal's Ctrl-C does not reach it, and is ended by the kernel if we are. Returns 0 or a
 * negative errno; that the program cannot be executed is seen by its end.
 */
int child_start(struct child *child, const char *const *argv);

void child_print_log(const struct child *child); /* its last lines, on stderr */

/* child_end_all - the last first; by force if one takes longer than some seconds. */
void child_end_all(struct child *children, size_t n);

#endif
