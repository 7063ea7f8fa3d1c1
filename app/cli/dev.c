/*
 * dev - one address in front of a site's own development server and Sluice, until Ctrl-C.
 *
 * It starts a private web server, Sluice and, if asked, a Redis, as children that end with it. It
 * reads the configuration again whenever one of its files changes, and leaves nothing behind.
 */
#include <errno.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "cli/child.h"
#include "cli/subcommand.h"
#include "cli/front.h"
#include "cli/private_redis.h"
#include "cli/reach.h"
#include "cli/watch.h"
#include "config/config.h"

#define HOST "127.0.0.1"

enum {
	FIRST_PORT = 8080,
	N_PORTS = 100,
	TICK_MS = 50,        /* while it waits for something to start */
	LOOK_MS = 1000,      /* to see if the site's server is there */
	PATIENCE_MS = 20000, /* for one to come up */
	N_SIGNALS = 4,
	PATH_LEN = 128,
};

/* The children, in the order in which they are started. */
enum { REDIS, SLUICE, FRONT, N_CHILDREN };

/* What is waited for. */
enum dev_stage { WAITS_FOR_REDIS, WAITS_FOR_SLUICE, WAITS_FOR_FRONT, RUNS };

struct dev {
	const struct options *opt;
	struct config *cfg;
	uv_loop_t loop;
	uv_signal_t signals[N_SIGNALS];
	uv_timer_t tick;
	struct watch *watch;
	struct child children[N_CHILDREN];
	enum dev_stage stage;
	uint64_t since_ms; /* in this stage */
	const struct front *front;
	struct reach here, upstream;
	bool is_upstream_there, is_front_due; /* start it again once it has ended */
	bool is_redis_missing;
	int status; /* < 0: it goes on */
	char *ours; /* the paths */
	char self[PATH_MAX], program[PATH_MAX];
	char folder[PATH_LEN / 2], socket[PATH_LEN], address[PATH_LEN], file[PATH_LEN],
	    log[PATH_LEN], redis_log[PATH_LEN];
};

static int
say_failed(const char *why)
{
	fprintf(stderr, "sluice dev: %s\n", why);
	return -1;
}

static void
end(struct dev *dev, int status)
{
	dev->status = status;
	uv_stop(&dev->loop);
}

/* The children. Each function returns 0, or -1 having printed why not. */

static int
start_redis(struct dev *dev)
{
	struct child *child = &dev->children[REDIS];
	char why[512];

	child->log = dev->redis_log;
	if (private_redis_start(child, &dev->cfg->redis, dev->folder, why, sizeof(why)) < 0)
		return say_failed(why);
	return 0;
}

static int
start_sluice(struct dev *dev)
{
	const char *const argv[] = {dev->self, "serve",      "-c",       dev->opt->config,
				    "-l",      dev->address, "--events", NULL};
	int rc;

	dev->children[SLUICE].name = "Sluice";
	rc = child_start(&dev->children[SLUICE], argv);
	return rc < 0 ? say_failed(strerror(-rc)) : 0;
}

static int
start_front(struct dev *dev)
{
	const struct front_settings set = {
	    .folder = dev->folder,
	    .socket = dev->socket,
	    .host = dev->here.address,
	    .port = dev->here.port,
	    .upstream_host = dev->upstream.address,
	    .upstream_port = dev->upstream.port,
	    .ours = dev->ours,
	};
	struct child *child = &dev->children[FRONT];
	const char *argv[6];
	int rc;

	if ((rc = front_write(dev->front, &set, dev->file)) < 0)
		return say_failed(strerror(-rc));
	front_argv(dev->front, argv, dev->program, dev->file, dev->folder);
	child->name = front_name(dev->front);
	child->log = dev->log;
	return (rc = child_start(child, argv)) < 0 ? say_failed(strerror(-rc)) : 0;
}

/* The old one listens at the port until it has ended, so the next one starts then. */
static void
restart_front(struct dev *dev)
{
	if (dev->children[FRONT].pid == 0)
		return;
	dev->is_front_due = true;
	kill(dev->children[FRONT].pid, SIGTERM);
}

/* What it waits for, and what happens then */

static void on_tick(uv_timer_t *timer);

static void
enter(struct dev *dev, enum dev_stage stage)
{
	unsigned ms = stage == RUNS ? LOOK_MS : TICK_MS;

	dev->stage = stage;
	dev->since_ms = uv_now(&dev->loop);
	uv_timer_start(&dev->tick, on_tick, ms, ms);
}

static void
say_where(const struct dev *dev)
{
	const struct config *cfg = dev->cfg;
	bool is_v6 = strchr(dev->here.address, ':') != NULL;

	if (*cfg->server.base != '\0')
		printf("  %s/...  goes to Sluice: %zu route%s of %s\n", cfg->server.base,
		       cfg->n_routes, cfg->n_routes == 1 ? "" : "s", dev->opt->config);
	for (size_t i = 0; *cfg->server.base == '\0' && i < cfg->n_routes; i++)
		printf("  %s  goes to Sluice: [route %s]\n", path_text(cfg->routes[i]->path),
		       cfg->routes[i]->name);
	printf("  all else  goes to %s%s\n\n", dev->opt->upstream,
	       dev->is_upstream_there ? "" : ", which does not answer yet");
	printf("sluice dev is running:  http://%s%s%s:%u/\n\n", is_v6 ? "[" : "", dev->here.address,
	       is_v6 ? "]" : "", dev->here.port);
}

static void
say_hello(struct dev *dev)
{
	char text[256];

	putchar('\n');
	say_where(dev);
	dev->is_redis_missing =
	    dev->children[REDIS].pid == 0 && !private_redis_is_there(&dev->cfg->redis);
	if (dev->is_redis_missing)
		printf("Redis does not answer at %s: start it, or let this command do so by "
		       "--redis.\n\n",
		       redis_url_print(&dev->cfg->redis.urls[0], text, sizeof(text)));
	puts("Events are printed as they are sent. Ctrl-C ends it all, and leaves nothing "
	     "behind.\n");
	fflush(stdout);
}

static void
look_upstream(struct dev *dev)
{
	char was[sizeof(dev->upstream.address)];

	if (dev->is_upstream_there)
		return;
	memcpy(was, dev->upstream.address, sizeof(was));
	if (!(dev->is_upstream_there = reach_look(&dev->upstream)))
		return;
	printf("%s answers now\n", dev->opt->upstream);
	fflush(stdout);
	if (strcmp(was, dev->upstream.address) != 0)
		restart_front(dev);
}

static bool
has_come(struct dev *dev)
{
	switch (dev->stage) {
	case WAITS_FOR_REDIS:
		return private_redis_is_there(&dev->cfg->redis);
	case WAITS_FOR_SLUICE:
		return reach_socket(dev->socket);
	case WAITS_FOR_FRONT:
		return reach_look(&dev->here);
	default:
		return false;
	}
}

static int
go_on(struct dev *dev)
{
	switch (dev->stage) {
	case WAITS_FOR_REDIS:
		enter(dev, WAITS_FOR_SLUICE);
		return start_sluice(dev);
	case WAITS_FOR_SLUICE:
		enter(dev, WAITS_FOR_FRONT);
		return start_front(dev);
	default:
		say_hello(dev);
		enter(dev, RUNS);
		return 0;
	}
}

static void
on_tick(uv_timer_t *timer)
{
	struct dev *dev = timer->data;

	if (dev->stage == RUNS) {
		look_upstream(dev);
	} else if (has_come(dev)) {
		if (go_on(dev) < 0)
			end(dev, 1);
	} else if (uv_now(&dev->loop) - dev->since_ms > PATIENCE_MS) {
		fprintf(stderr, "sluice dev: %s does not come up\n",
			dev->children[dev->stage].name);
		child_print_log(&dev->children[dev->stage]);
		end(dev, 1);
	}
}

/* The configuration, anew */

static void
take_config(struct dev *dev, struct config *cfg)
{
	char *ours = front_paths(cfg);

	config_free(dev->cfg);
	dev->cfg = cfg;
	(void)watch_files(dev->watch, cfg->files); /* the files that were watched still are */
	kill(dev->children[SLUICE].pid, SIGHUP);
	if (ours == NULL || strcmp(ours, dev->ours) == 0) {
		free(ours);
		return;
	}
	free(dev->ours);
	dev->ours = ours;
	restart_front(dev);
}

/* Faults are printed as check prints them, and nothing else happens. */
static void
on_change(void *arg)
{
	struct dev *dev = arg;
	struct config *cfg;

	if (dev->stage != RUNS || dev->children[SLUICE].pid == 0)
		return;
	if (config_load(&cfg, dev->opt->config, stderr) < 0) {
		fprintf(stderr, "%s is refused; the old configuration goes on\n", dev->opt->config);
		return;
	}
	if (cfg->notes != NULL)
		fputs(cfg->notes, stderr);
	printf("%s was read again: %zu route%s\n", dev->opt->config, cfg->n_routes,
	       cfg->n_routes == 1 ? "" : "s");
	fflush(stdout);
	take_config(dev, cfg);
}

/* Signals */

static void
on_death(struct dev *dev, struct child *child, int status)
{
	child->pid = 0;
	if (child == &dev->children[FRONT] && dev->is_front_due) {
		dev->is_front_due = false;
		if (start_front(dev) < 0)
			end(dev, 1);
		return;
	}
	if (WIFSIGNALED(status))
		fprintf(stderr, "sluice dev: %s was killed by signal %d\n", child->name,
			WTERMSIG(status));
	else
		fprintf(stderr, "sluice dev: %s has ended with status %d\n", child->name,
			WEXITSTATUS(status));
	child_print_log(child);
	end(dev, 1);
}

static void
on_child(uv_signal_t *handle, int signum)
{
	struct dev *dev = handle->data;
	int status;

	(void)signum;
	for (size_t i = 0; i < N_CHILDREN && dev->status < 0; i++) {
		struct child *child = &dev->children[i];

		if (child->pid > 0 && waitpid(child->pid, &status, WNOHANG) == child->pid)
			on_death(dev, child, status);
	}
}

static void
on_end(uv_signal_t *handle, int signum)
{
	(void)signum;
	end(handle->data, 0);
}

/* Life */

static int
say_missing(const struct options *opt)
{
	if (opt->front != NULL)
		fprintf(stderr,
			"sluice dev: --front %s: it is not installed, or not one of these: %s\n",
			opt->front, front_names());
	else
		fprintf(stderr,
			"sluice dev: it needs one of these web servers, and none is installed: %s. "
			"apt-get install lighttpd\n",
			front_names());
	return -1;
}

/* Our address: what -l says, or the first port that is free. */
static int
choose_address(struct dev *dev)
{
	const char *why = NULL;

	if (dev->opt->address != NULL) {
		if ((why = reach_parse(&dev->here, "", dev->opt->address)) == NULL &&
		    !reach_may_bind(&dev->here))
			why = "the address is taken, or not ours";
		if (why != NULL) {
			fprintf(stderr, "sluice dev: -l %s: %s\n", dev->opt->address, why);
			return -1;
		}
		(void)reach_look(&dev->here);
		return 0;
	}
	snprintf(dev->here.host, sizeof(dev->here.host), HOST);
	snprintf(dev->here.address, sizeof(dev->here.address), HOST);
	for (dev->here.port = FIRST_PORT; dev->here.port < FIRST_PORT + N_PORTS; dev->here.port++) {
		if (reach_may_bind(&dev->here))
			return 0;
	}
	return say_failed("no port is free from 8080 on; choose one: -l 127.0.0.1:9000");
}

static int
choose(struct dev *dev)
{
	const char *why;
	ssize_t n;

	if ((why = reach_parse(&dev->upstream, "http://", dev->opt->upstream)) != NULL) {
		fprintf(stderr, "sluice dev: --upstream %s: %s\n", dev->opt->upstream, why);
		return -1;
	}
	if ((dev->front = front_find(dev->opt->front, dev->program)) == NULL)
		return say_missing(dev->opt);
	if ((n = readlink("/proc/self/exe", dev->self, sizeof(dev->self) - 1)) < 0)
		return say_failed(strerror(errno));
	dev->self[n] = '\0';
	dev->is_upstream_there = reach_look(&dev->upstream);
	if (*dev->upstream.address == '\0')
		return say_failed("--upstream: there is no such host");
	if ((dev->ours = front_paths(dev->cfg)) == NULL)
		return say_failed(strerror(ENOMEM));
	return choose_address(dev);
}

/*
 * Sockets stand in the folder. Their paths may have 107 bytes, which is too few for many a TMPDIR.
 */
static int
make_folder(struct dev *dev)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || strlen(tmp) > sizeof(dev->folder) / 2)
		tmp = "/tmp";
	snprintf(dev->folder, sizeof(dev->folder), "%s/sluice-dev-XXXXXX", tmp);
	if (mkdtemp(dev->folder) == NULL) {
		*dev->folder = '\0';
		return say_failed(strerror(errno));
	}
	snprintf(dev->socket, PATH_LEN, "%s/sluice.sock", dev->folder);
	snprintf(dev->address, PATH_LEN, "unix:%s/sluice.sock", dev->folder);
	snprintf(dev->file, PATH_LEN, "%s/front.conf", dev->folder);
	snprintf(dev->log, PATH_LEN, "%s/front.log", dev->folder);
	snprintf(dev->redis_log, PATH_LEN, "%s/redis.log", dev->folder);
	return 0;
}

/*
 * Clears the keys that are for a server's machine, and that a developer's machine has no use for.
 */
static void
set_environment(const struct config *cfg)
{
	/* cppcheck-suppress getpwuidCalled; only the main thread asks */
	const struct passwd *pw = getpwuid(geteuid());
	char own[32];

	setenv("SLUICE_SERVER_DRAIN", "0", 1);
	setenv("SLUICE_SERVER_WORKERS", "1", 1);
	setenv("SLUICE_SERVER_LOG", "stderr", 1);
	setenv("SLUICE_SERVER_SOCKET_MODE", "0600", 1);
	snprintf(own, sizeof(own), "%u", (unsigned)geteuid());
	if (cfg->server.socket_user != NULL)
		setenv("SLUICE_SERVER_SOCKET_USER", own, 1);
	if (cfg->server.user != NULL && pw != NULL)
		setenv("SLUICE_SERVER_USER", pw->pw_name, 1);
	snprintf(own, sizeof(own), "%u", (unsigned)getegid());
	if (cfg->server.socket_group != NULL)
		setenv("SLUICE_SERVER_SOCKET_GROUP", own, 1);
}

static int
begin_loop(struct dev *dev)
{
	static const int numbers[N_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};
	int rc;

	if ((rc = uv_loop_init(&dev->loop)) < 0)
		return rc;
	for (size_t i = 0; i < N_SIGNALS; i++) {
		uv_signal_init(&dev->loop, &dev->signals[i]);
		dev->signals[i].data = dev;
		uv_signal_start(&dev->signals[i], numbers[i] == SIGCHLD ? on_child : on_end,
				numbers[i]);
	}
	uv_timer_init(&dev->loop, &dev->tick);
	dev->tick.data = dev;
	if ((rc = watch_new(&dev->watch, &dev->loop, on_change, dev)) < 0)
		return rc;
	return watch_files(dev->watch, dev->cfg->files);
}

static void
end_loop(struct dev *dev)
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		uv_close((uv_handle_t *)&dev->signals[i], NULL);
	uv_close((uv_handle_t *)&dev->tick, NULL);
	watch_free(dev->watch);
	uv_run(&dev->loop, UV_RUN_DEFAULT);
	uv_loop_close(&dev->loop);
}

static int
begin(struct dev *dev)
{
	if (dev->opt->is_redis && !private_redis_is_there(&dev->cfg->redis)) {
		enter(dev, WAITS_FOR_REDIS);
		return start_redis(dev);
	}
	enter(dev, WAITS_FOR_SLUICE);
	return start_sluice(dev);
}

static int
serve(struct dev *dev)
{
	int rc;

	set_environment(dev->cfg);
	if ((rc = begin_loop(dev)) < 0)
		(void)say_failed(uv_strerror(rc));
	else if (begin(dev) == 0)
		uv_run(&dev->loop, UV_RUN_DEFAULT);
	child_end_all(dev->children, N_CHILDREN);
	end_loop(dev);
	return dev->status >= 0 ? dev->status : 1;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	(void)remove(path);
	return 0;
}

static int
run(const struct options *opt, char **args)
{
	struct dev dev = {.opt = opt, .status = -1};
	int status = 1;

	(void)args;
	if (opt->upstream == NULL)
		return command_refuse(opt, "where is the site? --upstream http://127.0.0.1:8000");
	if (config_load(&dev.cfg, opt->config, stderr) < 0)
		return 1;
	if (choose(&dev) == 0 && make_folder(&dev) == 0)
		status = serve(&dev);
	if (*dev.folder != '\0')
		(void)nftw(dev.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(dev.ours);
	config_free(dev.cfg);
	return status;
}

const struct subcommand dev_command = {
    .name = "dev",
    .synopsis = "[-c FILE] [-l HOST:PORT] [--redis] [--front SERVER] --upstream URL",
    .help =
	"One address for developing: a private web server in front of the site's own development\n"
	"server and of Sluice. The configuration is read again at each change, and events are\n"
	"printed as they are sent. Ctrl-C ends it all.\n",
    .takes = "clURF",
    .run = run,
};
