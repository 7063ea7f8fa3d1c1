#ifndef SLUICE_UPGRADE_H
#define SLUICE_UPGRADE_H

/*
 * upgrade - starts the program at the same path anew with the same socket (SIGUSR2). The new
 * program says by a pipe that it serves.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fcgi/listen.h"

/* upgrade_remember - must be called at the start, before the program's file can be replaced. */
void upgrade_remember(char **argv);

struct upgrade {
	pid_t pid;            /* the new program; 0: there is none */
	int ready_fd;         /* becomes readable when the new program serves, or has ended; -1 */
	uint64_t deadline_ms; /* by then it must serve */
};

/* upgrade_begin - returns 0, or a negative errno if nothing was started. */
int upgrade_begin(struct upgrade *up, const struct listener *listener);

/* upgrade_look - is ready_fd readable because the new program serves? false: it has ended. */
bool upgrade_look(const struct upgrade *up);

/*
 * upgrade_forget - the new program does not concern us any more; with kill it is ended, with its
 * workers.
 */
void upgrade_forget(struct upgrade *up, bool kill);

/*
 * upgrade_tell - called in the new program: it serves. Does nothing if the program was started in
 * another way.
 */
void upgrade_tell(void);
void upgrade_drop(void); /* called in its workers, which must not say it */

#endif
