#include "worker.h"

#include <errno.h>
#include <hiredis.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/board.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "fcgi/server.h"
#include "hub/hub.h"
#include "quarantine.h"
#include "redis/command.h"
#include "redis/keyspace.h"
#include "redis/cluster.h"
#include "redis/sentinel.h"
#include "route/site.h"
#include "sse/wire.h"

enum {
	COMMAND_TIMEOUT_MS = 5000,
	CGI_LIFETIME_MS = 3600 * 1000, /* nobody tells a CGI program that its client has left */
	/*
	 * After the drain, when nobody can connect any more: for short answers on their way, and
	 * clients that do not read their end.
	 */
	FLUSH_MS = 1000,
	FLUSH_TICK_MS = 20,
	/*
	 * So long is a refusal of Redis's told, from the last one on: of what is asked again each
	 * second, and of a command that is asked when somebody needs it.
	 */
	REFUSAL_MS = 5000,
	REPLY_REFUSED_MS = 60000,
	MEMORY_LOG_MS = 10000,
	TIDY_MS = 10000,
	TIDY_MAX = 16 * 1024 * 1024, /* beyond so many bytes it would take others' time */
	NOTIFICATIONS_MS = 5000,     /* how often it is looked whether they are set by now */
	LACK_TEXT = 192,
	PRINTED_MAX = 1024 * 1024, /* an event on stdout */
	BEAT_MS = 250,             /* how often the supervisor hears at least that the loop turns */
	NODES_MAX = 256,           /* are told one by one */
	N_SIGNALS = 4,
};

static const int signals[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

/* The servers of Redis, as the configuration names them. */
struct servers {
	struct redis_settings *settings;
	struct topology *topology;
	struct sentinel *sentinel; /* NULL: url names no sentinels */
	struct cluster *cluster;   /* NULL: nor nodes of a cluster */
};

struct worker {
	uv_loop_t loop;
	struct config *cfg;
	const char *config_path;
	const struct listener *listener; /* NULL: plain CGI */
	struct servers servers;
	struct hub *hub;
	struct command *command;
	struct site *site;
	struct server *server;
	struct cgi *cgi;
	uv_signal_t on[N_SIGNALS];
	uv_timer_t beat;
	uv_timer_t flush;
	uint64_t flush_until_ms;
	struct quarantine quarantine;
	struct logger_pause log_memory;
	char lack[LACK_TEXT];       /* what Redis is not set to tell of keys; "": nothing */
	char lack_found[LACK_TEXT]; /* by those servers that have answered */
	unsigned n_lack_asked;      /* servers, which have not yet */
	uint64_t notifications_asked_ms;
	uint64_t tidied_ms;
	bool is_draining;
	bool is_ending; /* nobody can connect any more */
};

/* The process has one worker, and handlers ask for it without naming it (sluice/handler.h). */
static struct worker *this_worker;

bool
worker_redis_is_up(void)
{
	return hub_redis_is_up(this_worker->hub) && command_is_up(this_worker->command);
}

/* What is wrong, worst first. */
enum trouble {
	TROUBLE_DRAINING,
	TROUBLE_NO_REDIS,
	TROUBLE_SOME_REDIS,
	TROUBLE_CLUSTER_DOWN,
	TROUBLE_CLUSTER_NODES,
	TROUBLE_CLUSTER_SLOTS,
	TROUBLE_CRASHING,
	TROUBLE_REFUSED,
	TROUBLE_NOTIFICATIONS,
	TROUBLE_CONFIG,
	TROUBLES
};

/* All of the program, and this worker knows: no stream is opened from here on. */
static bool
is_draining(void)
{
	return board_get(BOARD_DRAINING) != 0 && this_worker->is_draining;
}

static bool
is_within(uint64_t at_ms, uint64_t ms)
{
	return at_ms != 0 && clock_ms() - at_ms <= ms;
}

/* The names of the routes that Redis has refused something of late. */
static bool
is_refused(char *text, size_t len)
{
	static const char begin[] = "Redis refuses what a route asks: ";
	const struct route *rt;
	struct tally tally;
	size_t used = (size_t)snprintf(text, len, "%s", begin), i;
	const char *sep = "";

	for (i = 0; (rt = site_route(this_worker->site, i)) != NULL && used < len; i++) {
		if (rt->counted == 0)
			continue;
		counters_tally(rt->counted, &tally);
		if (!is_within(tally.refusal_ms, REFUSAL_MS) &&
		    (tally.reply_given_ms >= tally.reply_refused_ms ||
		     !is_within(tally.reply_refused_ms, REPLY_REFUSED_MS)))
			continue;
		used += (size_t)snprintf(text + used, len - used, "%s%s", sep, rt->name);
		sep = ", ";
	}
	return *sep != '\0';
}

/* Is it the case? Then the sentence, too. */
static bool
has_trouble(enum trouble t, const struct board_sum *board, char *text, size_t len)
{
	const struct cluster *cl = this_worker->servers.cluster;

	switch (t) {
	case TROUBLE_DRAINING:
		snprintf(text, len, "The program is ending.");
		return is_draining();
	case TROUBLE_NO_REDIS:
		snprintf(text, len, "No worker is connected to Redis.");
		return board->n_with_redis == 0;
	case TROUBLE_SOME_REDIS:
		snprintf(text, len, "%u of %u workers are not connected to Redis.",
			 board->n_workers - board->n_with_redis, board->n_workers);
		return board->n_with_redis > 0 && board->n_with_redis < board->n_workers;
	case TROUBLE_CLUSTER_DOWN:
		return cluster_lacks(cl, CLUSTER_IS_DOWN, text, len);
	case TROUBLE_CLUSTER_NODES:
		return cluster_lacks(cl, CLUSTER_NODES, text, len);
	case TROUBLE_CLUSTER_SLOTS:
		return cluster_lacks(cl, CLUSTER_SLOTS, text, len);
	case TROUBLE_CRASHING:
		snprintf(text, len, "%u of %u workers die as soon as they are started.",
			 (unsigned)board_get(BOARD_CRASHING), board->n_workers);
		return board_get(BOARD_CRASHING) != 0;
	case TROUBLE_REFUSED:
		return is_refused(text, len);
	case TROUBLE_NOTIFICATIONS:
		snprintf(text, len, "%s", this_worker->lack);
		return *text != '\0';
	case TROUBLE_CONFIG:
		snprintf(text, len, "The configuration has faults: the one before is served.");
		return board_get(BOARD_LAST_REFUSED) != 0;
	case TROUBLES:
		break;
	}
	return false;
}

static void
look_at_board(struct board_sum *out)
{
	board_redis(worker_redis_is_up());
	board_sum(out);
}

const char *
worker_state(void)
{
	struct board_sum board;
	char text[LACK_TEXT];
	unsigned t;

	look_at_board(&board);
	if (is_draining())
		return "draining";
	if (board.n_with_redis == 0)
		return "down";
	for (t = 0; t < TROUBLES; t++) {
		if (has_trouble((enum trouble)t, &board, text, sizeof(text)))
			return "degraded";
	}
	return "ok";
}

bool
worker_trouble(unsigned n, char *text, size_t len)
{
	struct board_sum board;
	unsigned t;

	look_at_board(&board);
	for (t = 0; t < TROUBLES; t++) {
		if (has_trouble((enum trouble)t, &board, text, len) && n-- == 0)
			return true;
	}
	return false;
}

/* The supervisor's own counters come behind those of the workers. */
static const struct {
	const char *name, *help;
	enum board_fact fact;
} facts[] = {
    {"workers_hung", "workers that were replaced because they hung", BOARD_HUNG},
    {"workers_died", "workers that have died otherwise", BOARD_DIED},
    {"quarantined", "messages that have killed two workers", BOARD_POISONS},
    {"reloads", "configurations taken over", BOARD_RELOADS},
    {"reloads_refused", "configurations refused for their faults", BOARD_REFUSED},
};

enum { N_FACTS = sizeof(facts) / sizeof(facts[0]) };

bool
worker_count(unsigned n, const char **name, unsigned long long *value)
{
	uint64_t sum[COUNTER_MAX];

	if (n >= COUNTER_MAX + N_FACTS)
		return false;
	if (n >= COUNTER_MAX) {
		*name = facts[n - COUNTER_MAX].name;
		*value = board_get(facts[n - COUNTER_MAX].fact);
		return true;
	}
	counters_sum(sum);
	*name = counter_texts[n].name;
	*value = sum[n];
	return true;
}

bool
worker_count_is_gauge(unsigned n)
{
	return n < COUNTER_GAUGES;
}

const char *
worker_count_help(unsigned n)
{
	return n < COUNTER_MAX ? counter_texts[n].help : facts[n - COUNTER_MAX].help;
}

bool
worker_node(unsigned n, struct worker_node *out)
{
	struct cluster_node node;

	if (n >= NODES_MAX || !cluster_node(this_worker->servers.cluster, n, &node))
		return false;
	snprintf(out->address, sizeof(out->address), "%s", node.address);
	out->role = "primary"; /* for no link goes to a replica */
	out->n_slots = node.n_slots;
	out->is_up = node.is_up;
	return true;
}

static void
tally_of(unsigned n, struct tally *out)
{
	const struct route *rt = site_route(this_worker->site, n);

	memset(out, 0, sizeof(*out));
	if (rt != NULL && rt->counted > 0)
		counters_tally(rt->counted, out);
}

bool
worker_route(unsigned n, struct worker_route *out)
{
	const struct route *rt = site_route(this_worker->site, n);
	struct tally tally;

	if (rt == NULL)
		return false;
	tally_of(n, &tally);
	*out = (struct worker_route){.name = rt->name,
				     .path = path_text(rt->path),
				     .handler = rt->handler->name,
				     .lag = tally.lag};
	return true;
}

unsigned long long
worker_route_count(unsigned route, unsigned n)
{
	struct tally tally;

	tally_of(route, &tally);
	return n < COUNTER_MAX ? tally.n[n] : 0;
}

bool
worker_route_refused(unsigned route, unsigned n, unsigned *status, unsigned long long *value)
{
	struct tally tally;

	if (n >= COUNTER_STATUSES)
		return false;
	tally_of(route, &tally);
	*status = counter_statuses[n];
	*value = tally.refused[n];
	return true;
}

bool
worker_route_took(unsigned route, unsigned n, unsigned *us, unsigned long long *value)
{
	struct tally tally;

	if (n >= COUNTER_BUCKETS)
		return false;
	tally_of(route, &tally);
	*us = counter_bucket_us[n];
	*value = tally.took[n];
	return true;
}

unsigned long long
worker_route_took_us(unsigned route)
{
	struct tally tally;

	tally_of(route, &tally);
	return tally.took_us;
}

static void
log_lines(const char *text)
{
	const char *eol;

	for (; (eol = strchr(text, '\n')) != NULL; text = eol + 1)
		logger_error("%.*s", (int)(eol - text), text);
}

/* A faulty file is told, line by line, and changes nothing. */
static struct config *
load_again(struct worker *w)
{
	struct config *cfg = NULL;
	char *faults = NULL;
	size_t len;
	FILE *f = open_memstream(&faults, &len);
	int rc;

	if (f == NULL)
		return NULL;
	rc = config_load(&cfg, w->config_path, f);
	fclose(f);
	if (rc < 0) {
		log_lines(faults);
		logger_error("%s is refused; the old configuration goes on", w->config_path);
		cfg = NULL;
	}
	free(faults);
	return cfg;
}

static void
stop_loop(struct worker *w)
{
	uv_stop(&w->loop);
}

/* The links borrow the settings for longer than a configuration may live. */
static int
open_servers(struct servers *sv, uv_loop_t *loop, struct config *cfg)
{
	int rc;

	memset(sv, 0, sizeof(*sv));
	if ((sv->settings = malloc(sizeof(*sv->settings))) == NULL)
		return -ENOMEM;
	*sv->settings = cfg->redis;
	memset(&cfg->redis, 0, sizeof(cfg->redis));
	if ((rc = topology_new(&sv->topology, sv->settings)) < 0 ||
	    (rc = cluster_new(&sv->cluster, loop, sv->topology)) < 0)
		return rc;
	return sentinel_new(&sv->sentinel, loop, sv->topology);
}

static void
close_servers(struct servers *sv)
{
	sentinel_free(sv->sentinel);
	cluster_free(sv->cluster);
	topology_free(sv->topology);
	if (sv->settings != NULL)
		redis_settings_fini(sv->settings);
	free(sv->settings);
	memset(sv, 0, sizeof(*sv));
}

/* What is subscribed stays so under its name, so another prefix needs another start. */
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

/* So does a database whose keys are followed, for its number stands in their channels' names. */
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

/* If it may not be asked, it is not known. */
static void
on_notifications(void *arg, const redisReply *reply)
{
	struct worker *w = arg;
	char lack[LACK_TEXT];

	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[1]->type == REDIS_REPLY_STRING &&
	    keyspace_fault(reply->element[1]->str, lack, sizeof(lack)))
		memcpy(w->lack_found, lack, sizeof(lack));
	if (--w->n_lack_asked > 0)
		return;
	if (*w->lack == '\0' && *w->lack_found != '\0')
		logger_warn("Redis's %s", w->lack_found);
	memcpy(w->lack, w->lack_found, sizeof(w->lack));
}

static void
ask_notifications(struct worker *w)
{
	static const char *const argv[] = {"CONFIG", "GET", "notify-keyspace-events"};

	w->notifications_asked_ms = uv_now(&w->loop);
	if (!follows_keys(w)) {
		*w->lack = '\0';
	} else if (w->n_lack_asked == 0) {
		*w->lack_found = '\0';
		w->n_lack_asked = command_send_each(w->command, on_notifications, w, 3, argv);
	}
}

static void
on_command_up(void *arg)
{
	ask_notifications(arg);
}

/* Both links anew. Subscribers stay; their feeds tell them of the interruption. */
static void
set_redis(struct worker *w, struct config *cfg)
{
	struct servers servers;
	struct command *command = NULL;

	if (open_servers(&servers, &w->loop, cfg) < 0 ||
	    command_new(&command, &w->loop, servers.topology, COMMAND_TIMEOUT_MS) < 0 ||
	    hub_set_redis(w->hub, servers.topology) < 0) {
		logger_error("out of memory: cannot connect to Redis anew");
		command_free(command);
		close_servers(&servers);
		stop_loop(w); /* the supervisor starts another worker */
		return;
	}
	hub_set_command(w->hub, command);
	command_free(w->command);
	w->command = command;
	command_on_up(command, on_command_up, w);
	close_servers(&w->servers);
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
	struct config *cfg = load_again(w);
	struct config *old = w->cfg;

	if (cfg == NULL)
		return;
	if (site_set_routes(w->site, cfg->routes, cfg->n_routes, cfg->server.base) < 0) {
		cfg->n_routes = 0;
		config_free(cfg);
		logger_error("out of memory: the old configuration goes on");
		return;
	}
	cfg->n_routes = 0;
	if (logger_open(cfg->server.log, cfg->server.log_level, cfg->server.log_format) < 0)
		logger_warn("cannot open the log %s: the old one goes on", cfg->server.log);
	keep_prefix(w, cfg);
	keep_database(w, cfg);
	set_auth(w, cfg); /* first: requests that waited for the old link go on at once */
	if (!redis_settings_equal(&cfg->redis, w->servers.settings))
		set_redis(w, cfg);
	ask_notifications(w);
	set_quarantine(w, cfg);
	w->cfg = cfg;
	config_free(old);
	logger_info("configuration reloaded from %s", w->config_path);
}

/* What the process has in memory of its own; 0 if that cannot be told. */
static size_t
own_memory(void)
{
	unsigned long pages, resident, shared;
	FILE *f = fopen("/proc/self/statm", "re");
	int n = 0;

	if (f == NULL)
		return 0;
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
	n = fscanf(f, "%lu %lu %lu", &pages, &resident, &shared);
	fclose(f);
	return n == 3 && resident > shared ? (resident - shared) * (size_t)sysconf(_SC_PAGESIZE)
					   : 0;
}

/* Beyond the limit those for whom most waits are ended, and nobody new is let in. */
static void
look_at_memory(struct worker *w)
{
	size_t max = w->cfg->server.max_memory, used = max > 0 ? own_memory() : 0, n;

	if (used > max) {
		malloc_trim(0); /* what is free already is no reason to end anybody */
		used = own_memory();
	}
	hub_refuse_new(w->hub, used > max);
	if (used <= max)
		return;
	n = hub_shed(w->hub, used - max);
	if (logger_may(&w->log_memory, uv_now(&w->loop), MEMORY_LOG_MS))
		logger_warn("%zu MiB are in use, more than max_memory: the %zu slowest clients "
			    "are ended, new ones are told to come back",
			    used >> 20, n);
}

/*
 * Short lives leave holes in the heap, of which each is used again, but never all at once: page
 * after page it comes to be touched, and a worker seems to grow for hours.
 */
static void
tidy_memory(struct worker *w)
{
	if (uv_now(&w->loop) - w->tidied_ms < TIDY_MS)
		return;
	w->tidied_ms = uv_now(&w->loop);
	if (own_memory() <= TIDY_MAX)
		malloc_trim(0);
}

static void
on_beat(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	board_beat();
	board_redis(worker_redis_is_up());
	hub_count_lags(w->hub);
	look_at_memory(w);
	tidy_memory(w);
	quarantine_look(&w->quarantine, w->command);
	if (*w->lack != '\0' && uv_now(&w->loop) - w->notifications_asked_ms >= NOTIFICATIONS_MS)
		ask_notifications(w);
}

/*
 * The last worker leaves no request in the queue of a socket that is about to vanish: a web server
 * that has sent one there is reset, and takes that for a fault which it must not repeat. A socket
 * that another holds, or another program or worker serves, needs no such care.
 */
static void
begin_end(struct worker *w)
{
	bool is_last = board_finish() && is_draining() && board_get(BOARD_SUCCEEDED) == 0;

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

/* Is nothing left to be done, or the time for it over? */
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
		stop_loop(w); /* the second signal: at once */
		return;
	}
	w->is_draining = true;
	logger_info("draining %zu subscribers over %u ms", hub_n_subscribers(w->hub),
		    w->cfg->server.drain_ms);
	board_serve(false);
	if (w->server != NULL && board_get(BOARD_SUCCEEDED) != 0)
		server_stop_accepting(w->server); /* the other program has what comes */
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

	switch (signum) {
	case SIGHUP:
		reload(w);
		break;
	case SIGUSR1:
		if (logger_reopen() < 0)
			logger_error("cannot reopen the log %s", w->cfg->server.log);
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

	for (i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(&w->loop, &w->on[i]);
		w->on[i].data = w;
		uv_signal_start(&w->on[i], on_signal, signals[i]);
	}
	sigemptyset(&set);
	for (i = 0; i < N_SIGNALS; i++)
		sigaddset(&set, signals[i]);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR2);
	signal(SIGUSR2, SIG_IGN); /* what a group is told is the supervisor's to answer */
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* the supervisor had them blocked until now */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a full log file must not end the streams */
}

/*
 * For those who develop a site: each event is printed as a line of NDJSON, which no byte of the
 * event can break.
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

	if ((rc = open_servers(&w->servers, &w->loop, cfg)) < 0 ||
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
	cfg->n_routes = 0; /* the site has them, in any case */
	if (rc < 0)
		return rc;
	if (w->listener != NULL)
		return server_new(&w->server, &w->loop, w->listener->fd, &limits, site_serve,
				  w->site);
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

/* All that was begun is ended, in reverse, and the loop runs until libuv has let go of it. */
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
	for (i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&w->on[i], NULL);
	uv_close((uv_handle_t *)&w->flush, NULL);
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	close_servers(&w->servers);
	uv_run(&w->loop, UV_RUN_DEFAULT); /* a sentinel's links */
	uv_loop_close(&w->loop);
	config_free(w->cfg);
}

int
worker_run(struct config *cfg, const char *config_path, const struct listener *listener)
{
	struct worker w = {.cfg = cfg, .config_path = config_path, .listener = listener};
	int rc;

	this_worker = &w;
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
