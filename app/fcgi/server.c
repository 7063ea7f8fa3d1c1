#include "fcgi/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/board.h"
#include "fcgi/connection.h"

enum {
	ACCEPTS_MAX = 64, /* accepted in a row, before others have a turn */
	PAUSE_MS = 100,
	LINGER_MS = 1000,
	YIELD_MS = 2, /* after how long a worker that is ahead looks again */
	/* it stops waiting for the others if none of them has accepted for this long */
	STALL_MS = 50,
	/*
	 * Kept for the links to Redis, the log and the configuration: clients that take every free
	 * descriptor must not take those that the program needs itself.
	 */
	DESCRIPTORS_KEPT = 32,
	CONNS_MAX = 1000000,
};

/* FCGI_WEB_SERVER_ADDRS (FastCGI 1.0, 3.2), IPv4 as mapped addresses. */
struct peers {
	size_t n;
	struct in6_addr of[];
};

/*
 * Reads the list. An entry that cannot be read admits nobody. Returns 0, with NULL for "anybody",
 * or -ENOMEM.
 */
static int
peers_new(struct peers **out, const char *list)
{
	char *copy, *word, *rest;
	struct peers *peers;

	*out = NULL;
	if (list == NULL || *list == '\0')
		return 0;
	copy = strdup(list);
	peers = calloc(1, sizeof(*peers) + (strlen(list) / 2 + 1) * sizeof(peers->of[0]));
	if (copy == NULL || peers == NULL) {
		free(copy);
		free(peers);
		return -ENOMEM;
	}
	for (word = strtok_r(copy, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest)) {
		if (address_parse(&peers->of[peers->n], word) == 0)
			peers->n++;
		else
			logger_warn("FCGI_WEB_SERVER_ADDRS: %s is no address", word);
	}
	free(copy);
	*out = peers;
	return 0;
}

static bool
is_admitted(const struct peers *peers, const struct sockaddr_storage *from)
{
	struct in6_addr addr;
	size_t i;

	if (peers == NULL)
		return true;
	if (from->ss_family == AF_INET)
		address_map(&addr, &((const struct sockaddr_in *)(const void *)from)->sin_addr);
	else if (from->ss_family == AF_INET6)
		addr = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
	else
		return true; /* a Unix socket is protected by its mode and owner */
	for (i = 0; i < peers->n; i++) {
		if (memcmp(&addr, &peers->of[i], sizeof(addr)) == 0)
			return true;
	}
	return false;
}

static void
take_connection(struct server *srv, int fd, const struct sockaddr_storage *from)
{
	int on = 1;

	if (!is_admitted(srv->peers, from)) {
		if (logger_may(&srv->log_fault, uv_now(srv->loop), LOGGER_PERIOD_MS))
			logger_warn("a connection from an address that FCGI_WEB_SERVER_ADDRS does "
				    "not name: closed");
		close(fd);
		return;
	}
	if (from->ss_family == AF_INET || from->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	connection_new(srv, fd);
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void
on_pause_over(uv_timer_t *timer)
{
	struct server *srv = timer->data;

	if (srv->is_accepting)
		uv_poll_start(&srv->accepting, UV_READABLE, on_acceptable);
}

/*
 * There is no descriptor or memory. The listening socket stays readable, so it must not be polled
 * for a while.
 */
static void
pause_accepting(struct server *srv, int error)
{
	uv_poll_stop(&srv->accepting);
	uv_timer_start(&srv->pause, on_pause_over, PAUSE_MS, 0);
	if (logger_may(&srv->log_accept, uv_now(srv->loop), 1000))
		logger_error("cannot accept, with %zu connections open: %s", srv->n_connections,
			     strerror(error));
}

/*
 * Which worker wakes first does not depend on its load. So a worker that is ahead leaves new
 * connections to the others, unless those are stuck.
 */
static bool
must_yield(struct server *srv)
{
	uint64_t now = uv_now(srv->loop), mark;

	if (!board_is_ahead()) {
		srv->yielding_ms = 0;
		return false;
	}
	mark = board_others_mark();
	if (srv->yielding_ms == 0 || mark != srv->yielding_mark) {
		srv->yielding_ms = now;
		srv->yielding_mark = mark;
	}
	return now - srv->yielding_ms < STALL_MS;
}

static void
yield(struct server *srv)
{
	uv_poll_stop(&srv->accepting);
	uv_timer_start(&srv->pause, on_pause_over, YIELD_MS, 0);
}

/* May another connection be accepted now? If not, the server looks again by itself. */
static bool
may_accept(struct server *srv)
{
	if (!srv->is_accepting)
		return false;
	if (srv->n_connections >= srv->limits.max_conns) {
		pause_accepting(srv, EMFILE);
		return false;
	}
	if (must_yield(srv)) {
		yield(srv);
		return false;
	}
	return true;
}

/*
 * Returns 0, also if the next connection in the queue has gone meanwhile; -EAGAIN; or why none can
 * be accepted.
 */
static int
accept_one(struct server *srv)
{
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(from);
	int fd = accept4(srv->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		board_accepted();
		take_connection(srv, fd, &from);
		return 0;
	}
	return errno == ECONNABORTED || errno == EINTR || errno == EPROTO ? 0 : -errno;
}

static void
on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct server *srv = poll->data;
	int i, rc;

	(void)events;
	if (status < 0) {
		pause_accepting(srv, -status);
		return;
	}
	for (i = 0; i < ACCEPTS_MAX && may_accept(srv); i++) {
		if ((rc = accept_one(srv)) == -EAGAIN)
			return;
		if (rc < 0) {
			pause_accepting(srv, -rc);
			return;
		}
	}
}

static int
begin_handles(struct server *srv)
{
	int rc = uv_poll_init(srv->loop, &srv->accepting, srv->fd);

	if (rc < 0)
		return rc;
	srv->accepting.data = srv;
	uv_timer_init(srv->loop, &srv->pause);
	srv->pause.data = srv;
	uv_prepare_init(srv->loop, &srv->sweep);
	uv_poll_start(&srv->accepting, UV_READABLE, on_acceptable);
	srv->is_accepting = true;
	return 0;
}

static unsigned
max_conns(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur > CONNS_MAX)
		return CONNS_MAX;
	if (rl.rlim_cur < (rlim_t)2 * DESCRIPTORS_KEPT)
		return (unsigned)rl.rlim_cur / 2;
	return (unsigned)rl.rlim_cur - DESCRIPTORS_KEPT;
}

static void
free_server(struct server *srv)
{
	connection_free_closed(srv);
	if (srv->spare != NULL)
		record_request_fini(srv->spare);
	free(srv->spare);
	decode_close(srv->decoder);
	free(srv->peers);
	free(srv);
}

static void
on_handles_closed(struct closing *closing)
{
	struct server *srv = LIST_ENTRY(closing, struct server, closing);
	void (*on_freed)(void *arg) = srv->on_freed;
	void *arg = srv->freed_arg;

	free_server(srv);
	if (on_freed != NULL)
		on_freed(arg);
}

int
server_new(struct server **out, uv_loop_t *loop, int fd, const struct server_limits *limits,
	   server_request_fn on_request, void *ctx)
{
	struct server *srv = calloc(1, sizeof(*srv));
	int rc;

	if (srv == NULL)
		return -ENOMEM;
	srv->loop = loop;
	srv->fd = fd;
	srv->limits.params_max = limits->params_max;
	srv->limits.body_max = limits->body_max;
	srv->limits.max_conns = max_conns();
	srv->on_request = on_request;
	srv->ctx = ctx;
	list_init(&srv->connections);
	list_init(&srv->closed);
	if ((rc = decode_open(&srv->decoder, &srv->limits)) < 0 ||
	    (rc = peers_new(&srv->peers, getenv("FCGI_WEB_SERVER_ADDRS"))) < 0 ||
	    (rc = poller_open(&srv->poller, loop, connection_on_ready)) < 0)
		goto fail;
	closing_begin(&srv->closing, on_handles_closed);
	if ((rc = begin_handles(srv)) < 0) {
		poller_close(&srv->poller, &srv->closing);
		return rc;
	}
	fifo_init(&srv->reading, loop, limits->read_ms, connection_on_reading_due);
	fifo_init(&srv->waiting, loop, limits->body_ms, connection_on_waiting_due);
	fifo_init(&srv->lingering, loop, LINGER_MS, connection_on_lingering_due);
	srv->reading.timer.data = srv->waiting.timer.data = srv->lingering.timer.data = srv;
	*out = srv;
	return 0;
fail:
	free_server(srv);
	return rc;
}

void
server_leave(struct server *srv)
{
	struct list *node, *tmp;

	srv->limits.is_leaving = true;
	LIST_FOREACH (node, tmp, &srv->connections)
		connection_close_idle(node);
}

void
server_stop_accepting(struct server *srv)
{
	srv->is_accepting = false;
	uv_poll_stop(&srv->accepting);
	uv_timer_stop(&srv->pause);
	server_leave(srv);
}

void
server_take_rest(struct server *srv)
{
	while (srv->n_connections < srv->limits.max_conns && accept_one(srv) == 0)
		;
	server_stop_accepting(srv);
}

size_t
server_shed(struct server *srv, size_t bytes)
{
	struct list *node, *tmp;
	size_t n = 0, freed = 0, one;

	LIST_FOREACH (node, tmp, &srv->waiting.nodes) {
		if (freed >= bytes)
			break;
		one = connection_shed(LIST_ENTRY(node, struct fifo_node, node));
		freed += one;
		n += one > 0;
	}
	return n;
}

size_t
server_n_connections(const struct server *srv)
{
	return srv->n_connections;
}

void
server_free(struct server *srv, void (*on_freed)(void *arg), void *arg)
{
	struct list *node, *tmp;

	if (srv == NULL)
		return;
	server_stop_accepting(srv);
	srv->on_freed = on_freed;
	srv->freed_arg = arg;
	LIST_FOREACH (node, tmp, &srv->connections)
		connection_close_node(node);
	closing_add(&srv->closing, (uv_handle_t *)&srv->accepting);
	closing_add(&srv->closing, (uv_handle_t *)&srv->pause);
	closing_add(&srv->closing, (uv_handle_t *)&srv->sweep);
	poller_close(&srv->poller, &srv->closing);
	fifo_close_in(&srv->reading, &srv->closing);
	fifo_close_in(&srv->waiting, &srv->closing);
	fifo_close_in(&srv->lingering, &srv->closing);
}
