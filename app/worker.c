#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/board.h"
#include "base/buf.h"
#include "base/logger.h"
#include "fcgi/server.h"
#include "hub/hub.h"
#include "redis/command.h"
#include "reload.h"
#include "report.h"
#include "route/site.h"
#include "sse/wire.h"
#include "worker_parts.h"

enum {
	COMMAND_TIMEOUT_MS = 5000,
	CGI_LIFETIME_MS = 3600 * 1000, /* a CGI program does not learn that its client has left */
	/*
	 * After the drain, when no new connection can come: the time for short answers on their
	 * way, and for clients that have not read their end.
	 */
	FLUSH_MS = 1000,
	FLUSH_TICK_MS = 20,
	PRINTED_MAX = 1024 * 1024, /* an event on stdout */
	BEAT_MS = 250, /* the longest time between two beats, by which the supervisor sees that the
			  loop turns */
};

static const int signals[WORKER_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

static void
stop_loop(struct worker *w)
{
	uv_stop(&w->loop);
}

/* Subscriptions keep their names, so another prefix takes effect only at the next start. */
static void
keep_prefix(struct worker *w, struct config *cfg)
{
	char *prefix;

	if (strcmp(cfg->redis.prefix, w->servers.settings->prefix) == 0)
		return;
	logger_warn("[redis] prefix: another one takes effect at the next start");
	if ((prefix = strdup(w->servers.settings->prefix)) != NULL) {
		free(cfg->redis.prefix);
		cfg->redis.prefix = prefix;
	}
}

/* Does any route follow keys? */
static bool
follows_keys(const struct worker *w)
{
	const struct route *rt;

	for (size_t i = 0; (rt = site_route(w->site, i)) != NULL; i++) {
		if (rt->subjects[SUBJECT_KEYSPACE] != NULL)
			return true;
	}
	return false;
}

/*
 * If keys are followed, another database takes effect only at the next start as well, because its
 * number is part of their channels' names.
 */
static void
keep_database(struct worker *w, struct config *cfg)
{
	int db = w->servers.settings->urls[0].db;

	if (!follows_keys(w) || cfg->redis.urls[0].db == db)
		return;
	logger_warn("[redis] url: another database takes effect at the next start, for a route has "
		    "keyspace");
	for (size_t i = 0; i < cfg->redis.n_urls; i++)
		cfg->redis.urls[i].db = db;
}

static void
on_command_up(void *arg)
{
	struct worker *w = arg;

	notifications_ask(&w->notifications, w->command, follows_keys(w));
}

/* Makes both links anew. Subscribers stay; their feeds tell them of the interruption. */
static void
set_redis(struct worker *w, struct config *cfg)
{
	struct servers servers;
	struct command *command = NULL;

	if (servers_open(&servers, &w->loop, &cfg->redis) < 0 ||
	    command_new(&command, &w->loop, servers.topology, COMMAND_TIMEOUT_MS) < 0 ||
	    hub_set_redis(w->hub, servers.topology) < 0) {
		logger_error("out of memory: cannot connect to Redis anew");
		command_free(command);
		servers_close(&servers);
		stop_loop(w); /* the supervisor starts another worker */
		return;
	}
	hub_set_command(w->hub, command);
	command_free(w->command);
	w->command = command;
	command_on_up(command, on_command_up, w);
	servers_close(&w->servers);
	w->servers = servers;
}

static void
set_auth(struct worker *w, const struct config *cfg)
{
	site_set_auth(w->site, &cfg->auth, cfg->server.max_subscribers,
		      cfg->server.trusted_proxies);
}

static void
set_quarantine(struct worker *w, const struct config *cfg)
{
	if (quarantine_set(&w->quarantine, w->servers.settings->prefix, cfg->server.quarantine) < 0)
		logger_error("out of memory: the old quarantine goes on");
}

static void
reload(struct worker *w)
{
	struct config *cfg = reload_config(w->config_path);
	struct config *old = w->cfg;
	int rc;

	if (cfg == NULL)
		return;
	if (site_set_routes(w->site, cfg->routes, cfg->n_routes, cfg->server.base) < 0) {
		cfg->n_routes = 0;
		config_free(cfg);
		logger_error("out of memory: the old configuration goes on");
		return;
	}
	cfg->n_routes = 0;
	if ((rc = logger_open(cfg->server.log, cfg->server.log_level, cfg->server.log_format)) < 0)
		logger_warn("[server] log: cannot open %s, so the old one stays: %s",
			    cfg->server.log, strerror(-rc));
	keep_prefix(w, cfg);
	keep_database(w, cfg);
	set_auth(w, cfg); /* first, so that requests which waited for the old link go on at once */
	if (!redis_settings_equal(&cfg->redis, w->servers.settings))
		set_redis(w, cfg);
	notifications_ask(&w->notifications, w->command, follows_keys(w));
	set_quarantine(w, cfg);
	w->cfg = cfg;
	config_free(old);
	logger_info("configuration reloaded from %s", w->config_path);
}

static void
on_beat(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	board_beat();
	board_redis(worker_redis_is_up());
	hub_count_lags(w->hub);
	memory_look(&w->memory, w->hub, w->server, w->cfg->server.max_memory, uv_now(&w->loop));
	quarantine_look(&w->quarantine, w->command);
	notifications_look(&w->notifications, w->command, follows_keys(w));
}

/*
 * The last worker must not leave a request in the queue of a socket that is about to go: the web
 * server that sent it would be reset, and must not repeat the request. If the socket belongs to
 * somebody else, or another program or worker serves it, that cannot happen.
 */
static void
begin_end(struct worker *w)
{
	bool is_last = board_finish() && w->is_draining && board_get(BOARD_DRAINING) != 0 &&
		       board_get(BOARD_SUCCEEDED) == 0;

	w->is_ending = true;
	w->flush_until_ms = uv_now(&w->loop) + FLUSH_MS;
	if (w->server == NULL)
		return;
	if (is_last && w->listener->origin == LISTEN_OWN) {
		listen_refuse(w->listener);
		server_take_rest(w->server);
	} else {
		server_stop_accepting(w->server);
	}
}

/* Is everything done, or the time for it over? */
static bool
is_through(const struct worker *w)
{
	return uv_now(&w->loop) >= w->flush_until_ms ||
	       (hub_n_subscribers(w->hub) == 0 &&
		(w->server == NULL || server_n_connections(w->server) == 0));
}

static void
on_flush_tick(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	if (!w->is_ending && is_through(w))
		begin_end(w);
	if (w->is_ending && is_through(w))
		stop_loop(w);
}

static void
drain(struct worker *w)
{
	if (w->is_draining) {
		stop_loop(w); /* the second signal: it ends at once */
		return;
	}
	w->is_draining = true;
	logger_info("draining %zu subscribers over %u ms", hub_n_subscribers(w->hub),
		    w->cfg->server.drain_ms);
	board_serve(false);
	/* If another program has succeeded this one, it gets what comes from now on. */
	if (w->server != NULL && board_get(BOARD_SUCCEEDED) != 0)
		server_stop_accepting(w->server);
	else if (w->server != NULL)
		server_leave(w->server);
	hub_drain(w->hub, w->cfg->server.drain_ms, board_get(BOARD_SUCCEEDED) != 0);
	w->flush_until_ms = uv_now(&w->loop) + w->cfg->server.drain_ms;
	uv_timer_start(&w->flush, on_flush_tick, 0, FLUSH_TICK_MS);
}

static void
on_signal(uv_signal_t *handle, int signum)
{
	struct worker *w = handle->data;
	int rc;

	switch (signum) {
	case SIGHUP:
		reload(w);
		break;
	case SIGUSR1:
		if ((rc = logger_reopen()) < 0)
			logger_error("USR1: cannot open the log %s anew: %s", w->cfg->server.log,
				     strerror(-rc));
		break;
	case SIGUSR2: /* maybe the whole group was told: then the supervisor answers it */
		logger_info("USR2: a worker does not follow it; it is for the oldest process");
		break;
	default:
		drain(w);
	}
}

static void
watch_signals(struct worker *w)
{
	sigset_t set;
	int i;

	for (i = 0; i < WORKER_SIGNALS; i++) {
		uv_signal_init(&w->loop, &w->on[i]);
		w->on[i].data = w;
		uv_signal_start(&w->on[i], on_signal, signals[i]);
	}
	sigemptyset(&set);
	for (i = 0; i < WORKER_SIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* the supervisor has blocked them until now */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a full log file must not end the streams */
}

/*
 * For people who develop a site: prints each event as a line of NDJSON, which no byte of the event
 * can break.
 */
static void
print_event(const char *route, const struct event *ev)
{
	struct buf line;

	buf_init(&line, PRINTED_MAX);
	if (wire_ndjson.event(&line, ev, NULL) == 0) {
		printf("[route %s] %.*s", route, (int)line.len, line.p);
		fflush(stdout);
	}
	buf_fini(&line);
}

static int
begin(struct worker *w)
{
	static const struct server_limits limits = {
	    .params_max = 65536,
	    .body_max = (size_t)1024 * 1024, /* the greatest publish_max */
	    .read_ms = 5000,
	    .body_ms = 10000,
	};
	struct config *cfg = w->cfg;
	int rc;

	if ((rc = servers_open(&w->servers, &w->loop, &cfg->redis)) < 0 ||
	    (rc = hub_new(&w->hub, &w->loop, w->servers.topology)) < 0 ||
	    (rc = command_new(&w->command, &w->loop, w->servers.topology, COMMAND_TIMEOUT_MS)) <
		0 ||
	    (rc = site_new(&w->site, w->hub, &w->loop)) < 0)
		return rc;
	hub_set_command(w->hub, w->command);
	if (cfg->prints_events)
		hub_on_event(w->hub, print_event);
	command_on_up(w->command, on_command_up, w);
	set_auth(w, cfg);
	set_quarantine(w, cfg);
	rc = site_set_routes(w->site, cfg->routes, cfg->n_routes, cfg->server.base);
	cfg->n_routes = 0; /* the site has taken them over, even if it failed */
	if (rc < 0)
		return rc;
	if (w->listener != NULL)
		return server_new(&w->server, &w->loop, w->listener->fd, &limits, site_serve,
				  w->site);
	site_begins_with_request(w->site);
	return cgi_serve(&w->cgi, &w->loop, &limits, CGI_LIFETIME_MS, site_serve, w->site);
}

static void
on_site_closed(void *arg)
{
	struct worker *w = arg;

	hub_free(w->hub);
	w->hub = NULL;
}

static void
close_site(void *arg)
{
	struct worker *w = arg;

	if (w->site != NULL)
		site_close(w->site, on_site_closed, w);
	else
		on_site_closed(w);
}

/*
 * Ends everything that was begun, in reverse order, and runs the loop until libuv has closed all
 * handles.
 */
static void
end(struct worker *w)
{
	int i;

	if (w->hub != NULL)
		hub_set_command(w->hub, NULL);
	command_free(w->command);
	quarantine_fini(&w->quarantine);
	cgi_free(w->cgi);
	if (w->server != NULL)
		server_free(w->server, close_site, w);
	else
		close_site(w);
	for (i = 0; i < WORKER_SIGNALS; i++)
		uv_close((uv_handle_t *)&w->on[i], NULL);
	uv_close((uv_handle_t *)&w->flush, NULL);
	uv_close((uv_handle_t *)&w->beat, NULL);
	servers_stop(&w->servers);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	servers_close(&w->servers);
	uv_loop_close(&w->loop);
	config_free(w->cfg);
}

int
worker_run(struct config *cfg, const char *config_path, const struct listener *listener)
{
	struct worker w = {.cfg = cfg, .config_path = config_path, .listener = listener};
	int rc;

	report_of(&w);
	if ((rc = uv_loop_init(&w.loop)) < 0) {
		logger_error("cannot begin: %s", uv_strerror(rc));
		config_free(cfg);
		return 1;
	}
	uv_timer_init(&w.loop, &w.flush);
	w.flush.data = &w;
	uv_timer_init(&w.loop, &w.beat);
	w.beat.data = &w;
	watch_signals(&w);
	quarantine_init(&w.quarantine, &w.loop);
	if ((rc = begin(&w)) < 0) {
		logger_error("cannot begin: %s", strerror(-rc));
	} else {
		board_serve(true);
		uv_timer_start(&w.beat, on_beat, 0, BEAT_MS);
		uv_run(&w.loop, UV_RUN_DEFAULT);
	}
	end(&w);
	return rc < 0 ? 1 : 0;
}
