#ifndef SLUICE_REDIS_TRANSPORT_H
#define SLUICE_REDIS_TRANSPORT_H

/*
 * transport - the bytes of one connection to Redis, over TCP, a Unix socket or TLS. Never blocks.
 *
 * A connection begins with transport_connect(); once its descriptor is writable,
 * transport_handshake() is called until it is done. Whoever waits for the descriptor looks at
 * wants_write: TLS may have to write in order to read.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct tls;
struct transport;

/* The kinds: plain, and tls. */
struct transport_kind {
	int (*handshake)(struct transport *t);
	ssize_t (*read)(struct transport *t, void *p, size_t len);
	ssize_t (*write)(struct transport *t, const void *p, size_t len);
	bool (*has_pending)(const struct transport *t);
	void (*close)(struct transport *t);
};

struct transport {
	int fd; /* -1: there is no connection */
	const struct transport_kind *kind;
	void *session; /* of TLS */
	bool is_connected;
	bool wants_write; /* before it can go on */
	char why[160];    /* of the last error */
};

void transport_init(struct transport *t);

/*
 * transport_connect - begin to connect. tls NULL: plain; else server is the name that the
 * certificate must bear. Returns 0; a negative errno, and t->why says what is wrong.
 */
int transport_connect(struct transport *t, const struct sockaddr *to, socklen_t len,
		      struct tls *tls, const char *server);

/*
 * transport_handshake - the descriptor is ready. Returns 0 once bytes may be sent; -EAGAIN: call it
 * again when the descriptor is ready for what it wants; another negative errno, and t->why.
 */
int transport_handshake(struct transport *t);

/*
 * transport_read, transport_write - as many bytes as there are, or as are taken. Return -EAGAIN if
 * that is none for now; -ECONNRESET (also for the end) or another negative errno, and t->why.
 */
ssize_t transport_read(struct transport *t, void *p, size_t len);
ssize_t transport_write(struct transport *t, const void *p, size_t len);

/* transport_has_pending - bytes were read from the descriptor that transport_read() has not given
 * yet: no readiness of the descriptor tells of them. */
bool transport_has_pending(const struct transport *t);

void transport_close(struct transport *t); /* of one that is closed: nothing */

/* transport_fail - for the kinds: err is a negative errno, and why its words. Returns err. */
int transport_fail(struct transport *t, int err, const char *why);

#endif
