#ifndef SLUICE_FCGI_CONNECTION_H
#define SLUICE_FCGI_CONNECTION_H

/*
 * connection - one FastCGI connection: reads requests, and carries the responses. For server.c
 * only.
 *
 * It serves one request at a time, and several one after the other if the web server asks for it
 * (FCGI_KEEP_CONN). While a stream is open it holds no memory but this struct.
 */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/closing.h"
#include "base/list.h"
#include "base/logger.h"
#include "fcgi/decode.h"
#include "fcgi/poller.h"
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
	struct peers *peers; /* peers that may connect over TCP; NULL: all */
	/* what a connection reads into; NULL while a connection has it */
	struct record_request *spare;
	struct list connections;
	struct list closed; /* those that are to be freed */
	uv_prepare_t sweep; /* active if there are any */
	struct poller poller;
	size_t n_connections;
	struct fifo reading; /* from the first byte of a request to its PARAMS */
	struct fifo waiting; /* for its body; or for a peer to read its short answer */
	struct fifo lingering;
	uv_poll_t accepting;
	uv_timer_t pause;
	struct logger_pause log_accept, log_fault;
	bool is_accepting;
	uint64_t yielding_ms; /* since when this worker lets others accept first; 0: it does not */
	uint64_t yielding_mark;      /* board_others_mark() when one of the others last accepted */
	struct closing closing;      /* of its own handles */
	void (*on_freed)(void *arg); /* set by server_free() */
	void *freed_arg;
};

/*
 * connection_new - serves what arrives on fd, a non-blocking connected socket, which the connection
 * closes, even on failure. It may have gone when the call returns.
 */
void connection_new(struct server *srv, int fd);

/*
 * Both take a node of srv->connections. They close the connection at once; or only if it waits for
 * another request.
 */
void connection_close_node(struct list *node);
void connection_close_idle(struct list *node);

/*
 * connection_shed - takes a node of srv->waiting. If a short answer waits for its peer there, the
 * connection is closed. Returns how many bytes that gives back, or 0.
 */
size_t connection_shed(struct fifo_node *node);

void connection_on_reading_due(struct fifo *fifo, struct fifo_node *node);
void connection_on_waiting_due(struct fifo *fifo, struct fifo_node *node);
void connection_on_lingering_due(struct fifo *fifo, struct fifo_node *node);

/* connection_on_ready - the poller's on_ready(); what is the connection. */
void connection_on_ready(void *what, unsigned events);

/* connection_free_closed - only when the poller and all callers are done with them. */
void connection_free_closed(struct server *srv);

#endif
