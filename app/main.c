/*
 * main.c - the command line: which subcommand, and the way to begin serving.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/logger.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "fcgi/listen.h"
#include "fcgi/server.h"
#include "supervisor.h"
#include "upgrade.h"
#include "worker.h"

static const char usage[] =
    "usage: sluice [serve] [-c FILE] [-l ADDRESS] [-w WORKERS]\n"
    "       sluice check  [-c FILE]\n"
    "       sluice routes [-c FILE]\n"
    "       sluice emit   [-c FILE] CHANNEL JSON|-\n"
    "       sluice tail   [-c FILE] [-l ADDRESS] [--json] PATH\n"
    "       sluice wait   [-c FILE] [-l ADDRESS] [--timeout MS] PATH\n"
    "       sluice token  [-c FILE] --user ID [--ttl 1h] [--claim NAME=JSON]...\n"
    "       sluice --version | --help\n"
    "\n"
    "Carries what is published in Redis to browsers, as a FastCGI program beside the web\n"
    "server. FILE is $SLUICE_CONFIG or /etc/sluice/sluice.ini if not given; ADDRESS is\n"
    "unix:PATH, HOST:PORT or inherit. See sluice(8) and sluice.ini(5).\n";

static int cmd_serve(int argc, char **argv);

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
    {"serve", cmd_serve}, {"check", cmd_check}, {"routes", cmd_routes}, {"emit", cmd_emit},
    {"tail", cmd_tail},   {"wait", cmd_wait},   {"token", cmd_token},
};

struct serve_options {
	const char *config;
	const char *address;
	unsigned workers; /* 0: as configured */
};

static int
parse_workers(const char *text, unsigned *out)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || *text < '0' || *text > '9' || n < 1 || n > 256)
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

/* Returns -1 to go on, else the exit status. */
static int
parse_options(struct serve_options *opt, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"listen", required_argument, NULL, 'l'},
	    {"workers", required_argument, NULL, 'w'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:l:w:h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			opt->config = optarg;
			break;
		case 'l':
			opt->address = optarg;
			break;
		case 'w':
			if (parse_workers(optarg, &opt->workers) < 0) {
				fprintf(stderr, "sluice: -w takes a number from 1 to 256\n");
				return 2;
			}
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "sluice: \"%s\" is not understood\n\n%s", argv[optind], usage);
		return 2;
	}
	return -1;
}

/* Every open stream is a descriptor: take what the machine grants. */
static void
raise_descriptor_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		logger_warn("cannot raise the number of open files: %s", strerror(errno));
}

/* Returns 0, or -1 having told why: a server that was to give up root must not run as root. */
static int
drop_privileges(const struct config *cfg)
{
	const struct passwd *pw = NULL;
	const struct group *gr = NULL;
	gid_t gid;

	if (cfg->server.user == NULL && cfg->server.group == NULL)
		return 0;
	if (cfg->server.user != NULL && (pw = getpwnam(cfg->server.user)) == NULL) {
		logger_error("[server] user: there is no user %s", cfg->server.user);
		return -1;
	}
	if (cfg->server.group != NULL && (gr = getgrnam(cfg->server.group)) == NULL) {
		logger_error("[server] group: there is no group %s", cfg->server.group);
		return -1;
	}
	if (pw != NULL && logger_give(pw->pw_uid) < 0)
		logger_warn("[server] log: cannot give it to %s: %s", pw->pw_name, strerror(errno));
	gid = pw != NULL ? pw->pw_gid : getegid();
	if (gr != NULL)
		gid = gr->gr_gid;
	if (geteuid() != 0 && (pw == NULL || pw->pw_uid == geteuid()) && gid == getegid())
		return 0; /* we are who we are to be */
	if (setgid(gid) < 0 || (pw != NULL && initgroups(pw->pw_name, gid) < 0) ||
	    (pw != NULL && setuid(pw->pw_uid) < 0)) {
		logger_error("[server] user, group: cannot become them: %s", strerror(errno));
		return -1;
	}
	if (!logger_may_reopen())
		logger_warn("[server] log: %s may not write the folder of %s: a file that is moved "
			    "away cannot be opened anew (USR1)",
			    pw != NULL ? pw->pw_name : "the group", cfg->server.log);
	return 0;
}

static int
open_log(const struct config *cfg)
{
	int rc = logger_open(cfg->server.log, cfg->server.log_level, cfg->server.log_format);

	if (rc < 0)
		fprintf(stderr, "sluice: [server] log: cannot open %s: %s\n", cfg->server.log,
			strerror(-rc));
	return rc;
}

static int
serve_fastcgi(struct config *cfg, const char *path, const char *address)
{
	struct listen_settings ls = {.address = address != NULL ? address : cfg->server.listen,
				     .mode = cfg->server.socket_mode,
				     .user = cfg->server.socket_user,
				     .group = cfg->server.socket_group};
	struct listener listener;
	char why[512];

	if (listen_open(&listener, &ls, why, sizeof(why)) < 0) {
		fprintf(stderr, "sluice: %s\n", why);
		config_free(cfg);
		return 1;
	}
	if (drop_privileges(cfg) < 0) {
		listen_close(&listener);
		config_free(cfg);
		return 1;
	}
	logger_info("sluice " SLUICE_VERSION " serves %zu routes with %u workers", cfg->n_routes,
		    cfg->server.workers);
	return supervisor_run(cfg, path, &listener);
}

static int
cmd_serve(int argc, char **argv)
{
	struct serve_options opt = {0};
	struct config *cfg;
	const char *path;
	int status = parse_options(&opt, argc, argv);

	if (status >= 0)
		return status;
	supervisor_block_signals(); /* one that comes too early waits, whatever it would do now */
	path = config_path(opt.config);
	if (config_load(&cfg, path, stderr) < 0)
		return 1;
	if (open_log(cfg) < 0) {
		config_free(cfg);
		return 1;
	}
	raise_descriptor_limit();
	if (opt.workers > 0)
		cfg->server.workers = opt.workers;
	if (opt.address == NULL && cgi_is_plain())
		return worker_run(cfg, path, -1);
	return serve_fastcgi(cfg, path, opt.address);
}

/* A socket that took the place of a closed descriptor 2 would be sent the log. */
static void
fill_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			abort();
	}
}

int
main(int argc, char **argv)
{
	size_t i;

	fill_standard_descriptors();
	upgrade_remember(argv);

	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		puts("sluice " SLUICE_VERSION);
		return 0;
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		fputs(usage, stdout);
		return 0;
	}
	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	if (argc > 1 && argv[1][0] != '-') {
		fprintf(stderr, "sluice: there is no command \"%s\"\n\n%s", argv[1], usage);
		return 2;
	}
	return cmd_serve(argc, argv);
}
