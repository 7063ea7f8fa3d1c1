#ifndef SLUICE_UPGRADE_H
#define SLUICE_UPGRADE_H

/*
 * upgrade - the program of the same path is started anew with the same socket (SIGUSR2), and says
 * by a pipe that it serves.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fcgi/listen.h"

/* upgrade_remember - at the very start, before the file of the program can be replaced. */
void upgrade_remember(char **argv);

struct upgrade {
	pid_t pid;            /* the new program; 0: there is none */
	int ready_fd;         /* readable once it serves, or has ended; -1 */
	uint64_t deadline_ms; /* by then it must serve */
};

/* upgrade_begin - returns 0, or a negative errno if nothing was started. */
int upgrade_begin(struct upgrade *up, const struct listener *listener);

/* upgrade_look - has ready_fd become readable because it serves? false: it has ended. */
bool upgrade_look(const struct upgrade *up);

/* upgrade_forget - it is nobody's business any more; with kill it is ended, and so are its workers.
 */
void upgrade_forget(struct upgrade *up, bool kill);

/* upgrade_tell - of the new program: it serves. Nothing if it was started in another way. */
void upgrade_tell(void);
void upgrade_drop(void); /* in its workers: it is not theirs to say */

#endif
