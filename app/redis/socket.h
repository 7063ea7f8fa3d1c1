#ifndef SLUICE_REDIS_SOCKET_H
#define SLUICE_REDIS_SOCKET_H

/*
 * socket - one try to talk to one server: finds the addresses of its name, connects to the first
 * that answers, does the handshake of TLS, sends what is put, and takes apart what comes. It fails
 * once, and begins nothing anew: that is for redis/link.
 */
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/buf.h"
#include "redis/addresses.h"
#include "redis/replies.h"
#include "redis/transport.h"

struct redis_url;

struct redis_socket_ops {
	void (*on_open)(void *ctx);                                  /* bytes may be put */
	void (*on_reply)(void *ctx, const struct redisReply *reply); /* borrowed */
	/* It cannot go on, and must be closed now. why may be gone once it is. */
	void (*on_fail)(void *ctx, const char *why);
};

enum redis_socket_state {
	REDIS_SOCKET_CLOSED,
	REDIS_SOCKET_RESOLVING, /* the host's name */
	REDIS_SOCKET_CONNECTING,
	REDIS_SOCKET_HANDSHAKE, /* of TLS */
	REDIS_SOCKET_OPEN
};

struct redis_socket {
	uv_loop_t *loop;
	const struct redis_socket_ops *ops;
	void *ctx;
	enum redis_socket_state state;
	const struct redis_url *url;
	struct tls *tls; /* NULL: the URL asks for none */
	struct addresses addresses;
	size_t address;      /* of them, which is tried */
	unsigned n_tried;    /* of them, before this one */
	unsigned n_timeouts; /* each makes another address the first that is tried */
	struct transport transport;
	struct replies replies;
	struct buf out;  /* what was put and is not sent yet */
	uv_poll_t *poll; /* NULL: no descriptor */
	int watched;     /* events of libuv */
	bool has_heard;  /* bytes came; set back by the owner */
};

/* The owner, which embeds it, lives until the loop has turned after redis_socket_fini(). */
void redis_socket_init(struct redis_socket *s, uv_loop_t *loop, const struct redis_socket_ops *ops,
		       void *ctx);
void redis_socket_fini(struct redis_socket *s);

/*
 * redis_socket_open - begins to connect to url, which is borrowed until the socket is closed, as is
 * tls. on_open() or on_fail() may be called before this returns.
 */
void redis_socket_open(struct redis_socket *s, const struct redis_url *url, struct tls *tls);

/*
 * redis_socket_give_up - the owner has waited long enough for on_open(): says why it comes to
 * nothing. Next time another address is tried first, because this one may be silent for long.
 */
const char *redis_socket_give_up(struct redis_socket *s);

/* redis_socket_send - what was put into s->out since is sent, once the descriptor takes it. */
void redis_socket_send(struct redis_socket *s);

/* redis_socket_close - no function of ops is called any more until it is opened anew. */
void redis_socket_close(struct redis_socket *s);

#endif
