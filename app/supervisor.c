#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "base/quota.h"
#include "worker.h"

enum {
	YOUNG_MS = 1000,   /* a worker that dies younger than this is replaced after a pause */
	PAUSE_MS = 500,    /* so that one which cannot live does not take the machine */
	PATIENCE_MS = 1500 /* beyond the drain, then SIGKILL */
};

struct slot {
	pid_t pid; /* 0: no worker */
	uint64_t started_ms;
	uint64_t restart_ms; /* not before */
};

struct supervisor {
	struct config *cfg;
	const char *config_path;
	int listen_fd;
	struct slot *slots;
	unsigned n_slots;
	sigset_t handled;
	bool is_stopping;
	bool is_worker; /* this is the child, and its work is done */
	int status;
	uint64_t kill_ms; /* when patience ends */
};

static void
be_worker(struct supervisor *s, unsigned n)
{
	struct config *cfg = s->cfg;

	/*
	 * Without its supervisor a worker must not go on: nobody would end it, and a web server
	 * that looks whether it has to start us again would find the socket served.
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	counters_use(n);
	quota_use(n);
	s->cfg = NULL; /* the worker takes it */
	s->is_worker = true;
	s->status = worker_run(cfg, s->config_path, s->listen_fd);
}

/* Returns in the supervisor; and in the child when that has served, is_worker. */
static void
start_worker(struct supervisor *s, unsigned n)
{
	struct slot *slot = &s->slots[n];
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		if (getppid() != parent)
			_exit(0); /* the supervisor died before prctl() could tell */
		be_worker(s, n);
		return;
	}
	if (pid < 0) {
		logger_error("cannot start a worker: %s", strerror(errno));
		slot->restart_ms = clock_ms() + PAUSE_MS;
		return;
	}
	slot->pid = pid;
	slot->started_ms = clock_ms();
	slot->restart_ms = 0;
}

static void
tell_workers(const struct supervisor *s, int signum)
{
	unsigned n;

	for (n = 0; n < s->n_slots; n++) {
		if (s->slots[n].pid > 0)
			kill(s->slots[n].pid, signum);
	}
}

static void
log_death(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		logger_error("worker %d was killed by signal %d (%s)", (int)pid, WTERMSIG(status),
			     strsignal(WTERMSIG(status)));
	else
		logger_error("worker %d ended with status %d", (int)pid, WEXITSTATUS(status));
}

static void
on_death(struct supervisor *s, pid_t pid, int status)
{
	uint64_t now = clock_ms();
	unsigned n;

	for (n = 0; n < s->n_slots && s->slots[n].pid != pid; n++)
		;
	if (n == s->n_slots)
		return;
	s->slots[n].pid = 0;
	if (s->is_stopping)
		return;
	log_death(pid, status);
	s->slots[n].restart_ms = now - s->slots[n].started_ms < YOUNG_MS ? now + PAUSE_MS : now;
}

static void
reap(struct supervisor *s)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		on_death(s, pid, status);
}

/* Fork whoever is due. In a child it returns at once. */
static void
start_due(struct supervisor *s)
{
	unsigned n;

	for (n = 0; n < s->n_slots && !s->is_stopping && !s->is_worker; n++) {
		if (s->slots[n].pid == 0 && clock_ms() >= s->slots[n].restart_ms)
			start_worker(s, n);
	}
}

static bool
any_alive(const struct supervisor *s)
{
	unsigned n;

	for (n = 0; n < s->n_slots; n++) {
		if (s->slots[n].pid > 0)
			return true;
	}
	return false;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* What belongs to the process as it was started. */
static void
warn_of_restart(const struct supervisor *s, const struct config *cfg)
{
	if (cfg->server.workers != s->cfg->server.workers)
		logger_warn("[server] workers: another number takes effect at the next start");
	if (!same_text(cfg->server.listen, s->cfg->server.listen))
		logger_warn("[server] listen: another address takes effect at the next start");
	if (!same_text(cfg->server.user, s->cfg->server.user) ||
	    !same_text(cfg->server.group, s->cfg->server.group))
		logger_warn("[server] user, group: others take effect at the next start");
}

/* Checked here once, so that a faulty file is refused once and reaches no worker. */
static void
reload(struct supervisor *s)
{
	struct config *cfg = NULL;
	char *faults = NULL, *line, *save = NULL;
	size_t len;
	FILE *f = open_memstream(&faults, &len);

	if (f == NULL)
		return;
	if (config_load(&cfg, s->config_path, f) < 0)
		cfg = NULL;
	fclose(f);
	if (cfg == NULL) {
		for (line = strtok_r(faults, "\n", &save); line != NULL;
		     line = strtok_r(NULL, "\n", &save))
			logger_error("%s", line);
		logger_error("%s is refused; the old configuration goes on", s->config_path);
	} else {
		warn_of_restart(s, cfg);
		if (logger_open(cfg->server.log, cfg->server.log_level, cfg->server.log_format) < 0)
			logger_warn("cannot open the log %s: the old one goes on", cfg->server.log);
		config_free(s->cfg);
		s->cfg = cfg;
		tell_workers(s, SIGHUP);
	}
	free(faults);
}

static void
stop(struct supervisor *s)
{
	logger_info(s->is_stopping ? "stopping at once" : "stopping");
	tell_workers(s, SIGTERM);
	if (!s->is_stopping)
		s->kill_ms = clock_ms() + s->cfg->server.drain_ms + PATIENCE_MS;
	s->is_stopping = true;
}

static void
on_signal(struct supervisor *s, int signum)
{
	switch (signum) {
	case SIGHUP:
		reload(s);
		break;
	case SIGUSR1:
		if (logger_reopen() < 0)
			logger_error("cannot reopen the log %s", s->cfg->server.log);
		tell_workers(s, SIGUSR1);
		break;
	case SIGTERM:
	case SIGINT:
		stop(s);
		break;
	default:
		break; /* SIGCHLD: reap() follows each wake-up */
	}
}

/* How long nothing is due; -1 for ever. */
static int64_t
next_due_ms(const struct supervisor *s)
{
	uint64_t now = clock_ms(), due = UINT64_MAX;
	unsigned n;

	if (s->is_stopping)
		due = s->kill_ms;
	for (n = 0; n < s->n_slots && !s->is_stopping; n++) {
		if (s->slots[n].pid == 0 && s->slots[n].restart_ms < due)
			due = s->slots[n].restart_ms;
	}
	if (due == UINT64_MAX)
		return -1;
	return due > now ? (int64_t)(due - now) : 0;
}

static void
wait_for_signal(struct supervisor *s)
{
	int64_t ms = next_due_ms(s);
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	int signum = ms < 0 ? sigwaitinfo(&s->handled, NULL) : sigtimedwait(&s->handled, NULL, &ts);

	if (signum > 0)
		on_signal(s, signum);
	if (s->is_stopping && clock_ms() >= s->kill_ms)
		tell_workers(s, SIGKILL);
}

static void
list_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGCHLD);
}

void
supervisor_block_signals(void)
{
	sigset_t set;

	list_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int
supervisor_run(struct config *cfg, const char *config_path, int listen_fd)
{
	struct supervisor s = {.cfg = cfg,
			       .config_path = config_path,
			       .listen_fd = listen_fd,
			       .n_slots = cfg->server.workers};

	if (counters_open(s.n_slots) < 0 || quota_open(s.n_slots) < 0 ||
	    (s.slots = calloc(s.n_slots, sizeof(*s.slots))) == NULL) {
		logger_error("out of memory");
		config_free(cfg);
		return 1;
	}
	list_signals(&s.handled);
	for (;;) {
		start_due(&s);
		if (s.is_worker || (s.is_stopping && !any_alive(&s)))
			break;
		wait_for_signal(&s);
		reap(&s);
	}
	free(s.slots);
	config_free(s.cfg);
	return s.status;
}
