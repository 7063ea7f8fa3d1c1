#ifndef SLUICE_CLI_CHILD_H
#define SLUICE_CLI_CHILD_H

/*
 * child - a program that a subcommand starts, and that never lives longer than it.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
	const char *name; /* for people */
	const char *log;  /* the file for its output; NULL: it has ours */
	pid_t pid;        /* 0: it does not run */
};

/*
 * child_find - finds the path of a program, also where only root's PATH leads. false: there is
 * none.
 */
bool child_find(const char *program, char path[PATH_MAX]);

/*
 * child_start - argv ends with NULL; argv[0] is the path. The child has a session of its own, so
 * that the terminal's Ctrl-C does not reach it, and the kernel ends it if we end. Returns 0 or a
 * negative errno; if the program cannot be executed, the child ends at once.
 */
int child_start(struct child *child, const char *const *argv);

void child_print_log(const struct child *child); /* its last lines, on stderr */

/* child_end_all - ends all, the last one first; by force if one takes longer than some seconds. */
void child_end_all(struct child *children, size_t n);

#endif
