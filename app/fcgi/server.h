#ifndef SLUICE_FCGI_SERVER_H
#define SLUICE_FCGI_SERVER_H

/*
 * server - accepts connections, reads requests, carries responses: FastCGI 1.0.
 *
 * The loop accepts, reads records and writes. libfcgi only decodes a request that has arrived as a
 * whole and was checked, so no peer can block or crash it.
 */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "fcgi/params.h"
#include "hub/subscriber.h"

struct server;

struct server_limits {
	size_t params_max; /* bytes of PARAMS (65536); over it: 431 */
	size_t body_max;   /* bytes of STDIN (65536); over it: 413 */
	unsigned read_ms;  /* a request's PARAMS must be complete after this time (5000) */
	unsigned body_ms;  /* and then its body after this time (10000); else 408 */
};

/*
 * Called with a whole request. Everything is borrowed until it returns. It answers then or later,
 * by subscriber_answer() or feed_join() on sub. The server ends sub's life with subscriber_close(),
 * so it may be gone at any later turn.
 */
typedef void (*server_request_fn)(void *ctx, struct subscriber *sub, const struct params *params,
				  const char *body, size_t body_len);

/*
 * server_new - serves what arrives on fd, a listening non-blocking socket that stays the caller's.
 * Returns 0, -ENOMEM or a negative errno.
 */
int server_new(struct server **out, uv_loop_t *loop, int fd, const struct server_limits *limits,
	       server_request_fn on_request, void *ctx);

/*
 * server_leave - from now on no connection is kept open for another request, and FCGI_GET_VALUES
 * says that this program drains. New connections are still accepted.
 */
void server_leave(struct server *srv);

/* server_stop_accepting - as server_leave(), and no new connection is accepted. */
void server_stop_accepting(struct server *srv);

/*
 * server_take_rest - accepts the connections that wait, and then does as server_stop_accepting().
 */
void server_take_rest(struct server *srv);
size_t server_n_connections(const struct server *srv);

/*
 * server_shed - memory is short: closes connections whose peer does not read its short answer,
 * those that have waited longest first, until so many bytes are given back. Returns how many
 * connections.
 */
size_t server_shed(struct server *srv, size_t bytes);

/* server_free - closes every connection at once, without an end record. Takes NULL. */
void server_free(struct server *srv, void (*on_freed)(void *arg), void *arg);

/*
 * cgi.c: cgi_serve - plain CGI (RFC 3875): serves the one request that the environment and
 * descriptor 0 hold, and answers on descriptor 1. Stops loop when the response has ended, or the
 * client is gone, or lifetime_ms has passed (a CGI program is not told that an idle client has
 * left). Returns 0 or a negative errno; *out is freed by cgi_free().
 */
struct cgi;
int cgi_serve(struct cgi **out, uv_loop_t *loop, const struct server_limits *limits,
	      unsigned lifetime_ms, server_request_fn on_request, void *ctx);
void cgi_free(struct cgi *cgi);

/* cgi_is_plain - was the process started by a web server as plain CGI? */
int cgi_is_plain(void);

#endif
