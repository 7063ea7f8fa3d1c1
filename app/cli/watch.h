#ifndef SLUICE_CLI_WATCH_H
#define SLUICE_CLI_WATCH_H

/*
 * watch - is told when a file of a configuration was written: by whatever way an editor does it, so
 * the folders are watched in which they stand.
 */
#include <uv.h>

struct watch;

/*
 * watch_new - fn is called a moment after the last of several changes. Returns 0, -ENOMEM or what
 * libuv said.
 */
int watch_new(struct watch **out, uv_loop_t *loop, void (*fn)(void *arg), void *arg);

/* watch_files - from now on these, a line each. Errors as watch_new(): then some are not watched.
 */
int watch_files(struct watch *watch, const char *files);
void watch_free(struct watch *watch); /* takes NULL; the loop must run until it is closed */

#endif
