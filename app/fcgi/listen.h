#ifndef SLUICE_FCGI_LISTEN_H
#define SLUICE_FCGI_LISTEN_H

/*
 * listen - the socket that web servers connect to. It is made before the workers are forked, so
 * that they share it and it outlives each of them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct listen_settings {
	const char *address; /* "unix:PATH", "HOST:PORT", "[::1]:PORT", "inherit", or NULL: the
				inherited socket */
	mode_t mode;         /* of a Unix socket */
	const char *user;    /* owner of a Unix socket; NULL: as the process */
	const char *group;
};

enum listen_origin {
	LISTEN_OWN,        /* we made it */
	LISTEN_WEB_SERVER, /* descriptor 0: who started us holds it */
	LISTEN_SYSTEMD,    /* LISTEN_FDS */
};

struct listener {
	int fd;
	enum listen_origin origin;
	char *unlink_path; /* the path of a Unix socket of ours, to be removed at the end; else NULL
			    */
	dev_t dev; /* which file it is: a file of another's with the same name is not removed */
	ino_t ino;
};

/*
 * listen_open - a listening socket, non-blocking and close-on-exec, with the
 * largest backlog that the kernel takes (a burst of reconnections is refused by
 * the web server otherwise).
 *
 * Inherited: descriptor 0 if it is a listening socket (the FastCGI convention),
 * or descriptor 3 by systemd's LISTEN_FDS and LISTEN_PID. A Unix socket takes its
 * path's place in one step, and replaces another only if nobody answers on it, or a
 * Sluice that is on its way out: until then it waits, a second at the most. So does a TCP address,
 * which two sockets have then, and what comes is the new one's. No name service is asked: HOST is a
 * literal address or "localhost".
 *
 * Returns 0 or a negative errno, and in why, of why_len bytes, one line for the
 * operator: what and where.
 */
int listen_open(struct listener *out, const struct listen_settings *ls, char *why, size_t why_len);

/* listen_is_inherited - is there a socket to inherit? false: nobody gave us one. */
bool listen_is_inherited(void);

/*
 * listen_hand_over - called in a forked process that is about to execute the program anew: the new
 * program finds the socket by LISTEN_FDS, and the path that it removes at its end. Returns 0 or a
 * negative errno.
 */
int listen_hand_over(const struct listener *l);

/*
 * listen_refuse - new connections are refused from now on; those that wait can still be accepted.
 * It does this only to a Unix socket of ours: a socket of others stays as it is, and TCP has no
 * such state.
 */
void listen_refuse(const struct listener *l);

/*
 * listen_close - called in the process that opened it: also removes the socket's path, if it is
 * ours.
 */
void listen_close(struct listener *l);

/*
 * listen_forget - called in a process that inherited it: frees what l holds, and leaves the socket
 * alone.
 */
void listen_forget(struct listener *l);

#endif
