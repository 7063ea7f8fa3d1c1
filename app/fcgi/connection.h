#ifndef SLUICE_FCGI_CONNECTION_H
#define SLUICE_FCGI_CONNECTION_H

/*
 * connection - one FastCGI connection: reads requests, carries their responses. For
 * server.c only.
 *
 * It serves one request at a time, and more of them in turn if the web server asks for
 * it (FCGI_KEEP_CONN). While a stream is open it holds nothing but this struct.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/closing.h"
#include "base/list.h"
#include "base/logger.h"
#include "fcgi/decode.h"
#include "fcgi/record.h"
#include "fcgi/server.h"
#include "hub/fifo.h"
#include "hub/subscriber.h"

struct server {
	uv_loop_t *loop;
	int fd;
	struct record_limits limits;
	server_request_fn on_request;
	void *ctx;
	struct decoder *decoder;
	struct peers *peers;          /* who may connect over TCP; NULL: anybody */
	struct record_request *spare; /* what a connection reads into; NULL while one keeps it */
	struct list connections;
	size_t n_connections;
	struct fifo reading; /* from the first byte of a request to its PARAMS */
	struct fifo waiting; /* for its body; or for a peer that reads its short answer */
	struct fifo lingering;
	uv_poll_t accepting;
	uv_timer_t pause;
	struct logger_pause log_accept, log_fault;
	bool is_accepting;
	uint64_t yielding_ms;        /* since when others are let go first; 0: they are not */
	uint64_t yielding_mark;      /* board_others_mark() when one of them last did */
	struct closing closing;      /* of its own handles */
	unsigned n_refs;             /* those handles together, and each connection */
	void (*on_freed)(void *arg); /* set by server_free() */
	void *freed_arg;
};

/*
 * connection_new - serve what arrives on fd, a non-blocking connected socket that the
 * connection closes, on failure too. It may be gone again when the call returns.
 */
void connection_new(struct server *srv, int fd);

/*
 * Both take a node of srv->connections. They close the connection at once, or only if it waits for
 * another request.
 */
void connection_close_node(struct list *node);
void connection_close_idle(struct list *node);

void connection_on_reading_due(struct fifo *fifo, struct fifo_node *node);
void connection_on_waiting_due(struct fifo *fifo, struct fifo_node *node);
void connection_on_lingering_due(struct fifo *fifo, struct fifo_node *node);

/* server_unref - a handle of the server's is closed; the last one frees it, if it was let go of. */
void server_unref(struct server *srv);

#endif
