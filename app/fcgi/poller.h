#ifndef SLUICE_FCGI_POLLER_H
#define SLUICE_FCGI_POLLER_H

/*
 * poller - waits for any number of descriptors with one handle of libuv.
 *
 * A uv_poll_t for each would take 160 bytes of every connection, and four system calls more: libuv
 * adds the descriptor and takes it out again only to learn whether it can be polled. So the
 * descriptors stand in an epoll of their own, and the loop polls that one.
 */
#include <uv.h>

#include "base/closing.h"

struct poller {
	uv_poll_t poll;
	int fd;
	void (*on_ready)(void *what, unsigned events);
};

/*
 * poller_open - on_ready() is called with what poller_add() was given for the descriptor and with
 * its events (EPOLLIN and so on). It is also called for what was forgotten since the loop last
 * waited, so that must not be freed before the loop waits again. Returns 0 or a negative errno.
 */
int poller_open(struct poller *p, uv_loop_t *loop, void (*on_ready)(void *what, unsigned events));

/* poller_add - waits for events on fd. Returns 0 or a negative errno. */
int poller_add(struct poller *p, int fd, unsigned events, void *what);

/* poller_change - waits for other events on a descriptor that was added; this cannot fail. */
void poller_change(struct poller *p, int fd, unsigned events, void *what);

/* poller_forget - must be called before the descriptor is closed. */
void poller_forget(struct poller *p, int fd);

/* poller_close - the handle belongs to closing from now on. What was added may still be forgotten.
 */
void poller_close(struct poller *p, struct closing *closing);

#endif
