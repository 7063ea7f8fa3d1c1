/*
 * main.c - the command line: which subcommand, and the way to begin serving.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/logger.h"
#include "base/suggest.h"
#include "base/units.h"
#include "cli/subcommand.h"
#include "config/config.h"
#include "fcgi/listen.h"
#include "fcgi/server.h"
#include "supervisor.h"
#include "upgrade.h"
#include "worker.h"

enum { WORKERS_MAX = 256 };

static void print_usage(FILE *to);
static int cmd_serve(const struct options *opt, char **args);

static const struct subcommand serve_command = {
    .name = "serve",
    .synopsis = "[-c FILE] [-l ADDRESS] [-w WORKERS] [--events]",
    .help = "",
    .takes = "clwE",
    .is_default = true,
    .print_usage = print_usage,
    .run = cmd_serve,
};

static const struct subcommand *const commands[] = {
    &serve_command, &check_command,  &routes_command, &emit_command,   &tail_command,
    &wait_command,  &cursor_command, &token_command,  &doctor_command, &dev_command,
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void
print_usage(FILE *to)
{
	const char *before = "usage:";

	for (size_t i = 0; i < N_COMMANDS; i++) {
		subcommand_print_synopsis(commands[i], before, to);
		before = "      ";
	}
	fputs(
	    "       sluice --version | --help\n"
	    "\n"
	    "Carries what is published in Redis to browsers, as a FastCGI program beside the web\n"
	    "server. \"sluice COMMAND --help\" tells more of a command, sluice(8) and "
	    "sluice.ini(5) of\n"
	    "all. The options:\n",
	    to);
	options_print(NULL, to);
}

static int
parse_workers(const char *text, unsigned *out)
{
	uint64_t n;

	if (units_number(&n, text) < 0 || n < 1 || n > WORKERS_MAX)
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

/* Each open stream needs a descriptor, so the limit is raised as far as the machine allows. */
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

/* Returns 0, or -1 having logged why: a server that should give up root must not run as root. */
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
	logger_info("sluice " SLUICE_VERSION " serves %zu route%s with %u worker%s", cfg->n_routes,
		    cfg->n_routes == 1 ? "" : "s", cfg->server.workers,
		    cfg->server.workers == 1 ? "" : "s");
	return supervisor_run(cfg, path, &listener);
}

static int
cmd_serve(const struct options *opt, char **args)
{
	unsigned workers = 0;
	struct config *cfg;

	(void)args;
	if (opt->workers != NULL && parse_workers(opt->workers, &workers) < 0)
		return command_refuse(opt, "-w takes a number from 1 to 256");
	supervisor_block_signals(); /* a signal that comes early waits */
	if (config_load(&cfg, opt->config, stderr) < 0)
		return 1;
	if (open_log(cfg) < 0) {
		config_free(cfg);
		return 1;
	}
	raise_descriptor_limit();
	if (workers > 0)
		cfg->server.workers = workers;
	cfg->prints_events = opt->prints_events;
	if (opt->address == NULL && cgi_is_plain())
		return worker_run(cfg, opt->config, NULL);
	return serve_fastcgi(cfg, opt->config, opt->address);
}

/* If descriptor 2 were closed, a socket could get its number and would be sent the log. */
static void
fill_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			abort();
	}
}

/* The command that argv begins with; NULL having printed that there is none. */
static const struct subcommand *
find_command(const char *name)
{
	struct suggest s;

	suggest_init(&s, name);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(name, commands[i]->name) == 0)
			return commands[i];
		suggest_try(&s, commands[i]->name);
	}
	if (suggest_best(&s) != NULL)
		fprintf(stderr, "sluice: there is no command \"%s\"; did you mean \"%s\"?\n", name,
			suggest_best(&s));
	else
		fprintf(stderr, "sluice: there is no command \"%s\"\n", name);
	print_usage(stderr);
	return NULL;
}

int
main(int argc, char **argv)
{
	const struct subcommand *command;

	fill_standard_descriptors();
	upgrade_remember(argv);
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		puts("sluice " SLUICE_VERSION);
		return fflush(stdout) == EOF;
	}
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		print_usage(stdout);
		return fflush(stdout) == EOF;
	}
	if (argc < 2 || argv[1][0] == '-')
		return subcommand_run(&serve_command, argc, argv);
	command = find_command(argv[1]);
	return command != NULL ? subcommand_run(command, argc - 1, argv + 1) : COMMAND_USAGE;
}
