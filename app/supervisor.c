#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/logger.h"
#include "base/poison.h"
#include "base/quota.h"
#include "base/strings.h"
#include "notify.h"
#include "reload.h"
#include "upgrade.h"
#include "worker.h"
#include "worker_slot.h"

enum {
	PATIENCE_MS = 1500, /* time after the drain, until SIGKILL */
	TICK_MS = 250,
	START_TICK_MS = 20, /* until all workers serve */
};

struct supervisor {
	struct config *cfg;
	const char *config_path;
	struct listener *listener;
	struct worker_slot *slots;
	unsigned n_slots;
	int signal_fd;
	struct upgrade upgrade;
	uint64_t looked_ms; /* at the workers' beats */
	uint64_t told_ms;   /* when the service manager was last told that all is well */
	bool is_ready;      /* all workers have served */
	bool is_stopping;
	bool is_worker; /* this process is the child, and its work is done */
	int status;
	uint64_t kill_ms; /* when patience ends */
};

static void
be_worker(struct supervisor *s, unsigned n, pid_t parent)
{
	struct config *cfg = s->cfg;

	/*
	 * A worker must not live longer than its supervisor: nobody would end it, and a web server
	 * that looks whether it must start the program again would find somebody on the socket.
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0); /* the supervisor died before the line above */
	close(s->signal_fd);
	upgrade_forget(&s->upgrade, false);
	upgrade_drop();
	counters_use(n);
	quota_use(n);
	board_use(n);
	poison_use(n);
	s->cfg = NULL; /* the worker takes it */
	s->is_worker = true;
	s->status = worker_run(cfg, s->config_path, s->listener);
}

/*
 * Returns in the supervisor; and in the child when that has finished serving, with is_worker set.
 */
static void
start_worker(struct supervisor *s, unsigned n)
{
	struct worker_slot *slot = &s->slots[n];
	pid_t parent = getpid(), pid;

	board_begins(n);
	pid = fork();
	if (pid == 0) {
		be_worker(s, n, parent);
		return;
	}
	if (pid < 0) {
		logger_error("cannot start a worker: %s", strerror(errno));
		worker_slot_failed(slot);
		return;
	}
	worker_slot_begins(slot, n, pid);
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
tell_crashing(const struct supervisor *s)
{
	unsigned n, n_crashing = 0;

	for (n = 0; n < s->n_slots; n++)
		n_crashing += worker_slot_is_crashing(&s->slots[n]);
	board_set(BOARD_CRASHING, n_crashing);
}

static void
on_upgrade_failed(struct supervisor *s, const char *why)
{
	logger_error("USR2: the new program %s; this one goes on", why);
	upgrade_forget(&s->upgrade, true);
}

static void
on_death(struct supervisor *s, pid_t pid, int status)
{
	unsigned n;

	if (pid == s->upgrade.pid) {
		s->upgrade.pid = 0;
		on_upgrade_failed(s, "has ended before it served");
		return;
	}
	for (n = 0; n < s->n_slots && s->slots[n].pid != pid; n++)
		;
	if (n == s->n_slots)
		return;
	board_left(n);
	if (s->is_stopping) {
		s->slots[n].pid = 0;
		return;
	}
	worker_slot_died(&s->slots[n], n, status);
	tell_crashing(s);
}

static void
reap(struct supervisor *s)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		on_death(s, pid, status);
}

/* Starts the workers that are due. In a child it returns at once. */
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

/* These keys belong to the process as it was started. */
static void
warn_of_restart(const struct supervisor *s, const struct config *cfg)
{
	if (cfg->server.workers != s->cfg->server.workers)
		logger_warn("[server] workers: another number takes effect at the next start");
	if (!strings_are_same(cfg->server.listen, s->cfg->server.listen))
		logger_warn("[server] listen: another address takes effect at the next start");
	if (!strings_are_same(cfg->server.user, s->cfg->server.user) ||
	    !strings_are_same(cfg->server.group, s->cfg->server.group))
		logger_warn("[server] user, group: others take effect at the next start");
}

static void
take_over(struct supervisor *s, struct config *cfg)
{
	unsigned n;
	int rc;

	warn_of_restart(s, cfg);
	if ((rc = logger_open(cfg->server.log, cfg->server.log_level, cfg->server.log_format)) < 0)
		logger_warn("[server] log: cannot open %s, so the old one stays: %s",
			    cfg->server.log, strerror(-rc));
	config_free(s->cfg);
	s->cfg = cfg;
	for (n = 0; n < s->n_slots; n++)
		s->slots[n].silent_ms = 0; /* a worker needs some time to read it */
	tell_workers(s, SIGHUP);
}

/* The file is checked here first, so that a faulty one is refused once and reaches no worker. */
static void
reload(struct supervisor *s)
{
	struct config *cfg;
	enum board_fact fact;

	notify_reloading();
	cfg = reload_config(s->config_path);
	fact = cfg != NULL ? BOARD_RELOADS : BOARD_REFUSED;
	if (cfg != NULL)
		take_over(s, cfg);
	board_set(fact, board_get(fact) + 1);
	board_set(BOARD_LAST_REFUSED, fact == BOARD_REFUSED);
	notify_ready();
}

static void
stop(struct supervisor *s)
{
	logger_info(s->is_stopping ? "stopping at once" : "stopping");
	if (!s->is_stopping) {
		s->kill_ms = clock_ms() + s->cfg->server.drain_ms + PATIENCE_MS;
		board_set(BOARD_DRAINING, 1);
		if (s->upgrade.pid > 0)
			upgrade_forget(&s->upgrade, true);
		if (board_get(BOARD_SUCCEEDED) == 0)
			notify_stopping();
	}
	tell_workers(s, SIGTERM);
	s->is_stopping = true;
}

/* The new program has the socket, and serves. */
static void
give_way(struct supervisor *s)
{
	logger_info("USR2: process %d serves; this one drains", (int)s->upgrade.pid);
	notify_main_pid(s->upgrade.pid);
	upgrade_forget(&s->upgrade, false);
	listen_forget(s->listener); /* the new program removes the path */
	board_set(BOARD_SUCCEEDED, 1);
	stop(s);
}

static void
begin_upgrade(struct supervisor *s)
{
	const char *why = NULL;
	int rc;

	if (s->is_stopping)
		why = "it is ending";
	else if (s->upgrade.pid > 0)
		why = "another one is being started";
	else if (s->listener->origin == LISTEN_WEB_SERVER)
		why = "a web server has started this one, and would not know of another";
	else if (getpid() == 1)
		why = "this is the first process, with whose end the container ends";
	else if ((rc = upgrade_begin(&s->upgrade, s->listener)) < 0)
		why = strerror(-rc);
	if (why != NULL)
		logger_error("USR2: no new program is started: %s", why);
	else
		logger_info("USR2: process %d is to take over", (int)s->upgrade.pid);
}

static void
on_signal(struct supervisor *s, uint32_t signum)
{
	int rc;

	switch (signum) {
	case SIGHUP:
		reload(s);
		break;
	case SIGUSR1:
		if ((rc = logger_reopen()) < 0)
			logger_error("USR1: cannot open the log %s anew: %s", s->cfg->server.log,
				     strerror(-rc));
		tell_workers(s, SIGUSR1);
		break;
	case SIGUSR2:
		begin_upgrade(s);
		break;
	case SIGTERM:
	case SIGINT:
		stop(s);
		break;
	default:
		break; /* SIGCHLD: reap() is called after each wake-up */
	}
}

/*
 * If this process did not run for a while, the machine slept, or everything was stopped; that is
 * not the workers' fault. So each look adds at most two ticks to the time that a worker was silent.
 */
static void
look_at_workers(struct supervisor *s)
{
	uint64_t now = clock_ms(), passed = now - s->looked_ms;
	uint64_t hung_ms = s->is_stopping ? 0 : s->cfg->server.watchdog_ms;
	unsigned n;

	if (passed < TICK_MS)
		return;
	s->looked_ms = now;
	if (passed > (uint64_t)2 * TICK_MS)
		passed = (uint64_t)2 * TICK_MS;
	for (n = 0; n < s->n_slots; n++)
		worker_slot_look(&s->slots[n], n, passed, hung_ms);
	tell_crashing(s);
}

static void
look_whether_ready(struct supervisor *s)
{
	unsigned n;

	for (n = 0; n < s->n_slots && board_serves(n); n++)
		;
	if (s->is_ready || n < s->n_slots)
		return;
	s->is_ready = true;
	notify_ready();
	upgrade_tell();
}

/* The service manager's watchdog is fed only while every worker turns. */
static void
tell_alive(struct supervisor *s)
{
	uint64_t every_ms = notify_alive_ms(), now = clock_ms();
	unsigned n;

	if (every_ms == 0 || now - s->told_ms < every_ms)
		return;
	for (n = 0; n < s->n_slots; n++) {
		if (s->slots[n].silent_ms > (uint64_t)4 * TICK_MS && s->slots[n].pid > 0)
			return;
	}
	s->told_ms = now;
	notify_alive();
}

static void
look_at_upgrade(struct supervisor *s)
{
	struct pollfd pfd = {.fd = s->upgrade.ready_fd, .events = POLLIN};

	if (s->upgrade.pid == 0)
		return;
	if (poll(&pfd, 1, 0) == 1) {
		if (upgrade_look(&s->upgrade))
			give_way(s);
		else
			on_upgrade_failed(s, "has ended before it served");
	} else if (clock_ms() >= s->upgrade.deadline_ms) {
		on_upgrade_failed(s, "does not serve within 10 s");
	}
}

/* For how many ms nothing is due. */
static int
next_due_ms(const struct supervisor *s)
{
	uint64_t now = clock_ms(), due = now + (s->is_ready ? TICK_MS : START_TICK_MS);
	unsigned n;

	if (s->is_stopping && s->kill_ms < due)
		due = s->kill_ms;
	for (n = 0; n < s->n_slots && !s->is_stopping; n++) {
		if (s->slots[n].pid == 0 && s->slots[n].restart_ms < due)
			due = s->slots[n].restart_ms;
	}
	return due > now ? (int)(due - now) : 0;
}

static void
wait_for_signal(struct supervisor *s)
{
	struct pollfd pfds[] = {{.fd = s->signal_fd, .events = POLLIN},
				{.fd = s->upgrade.ready_fd, .events = POLLIN}};
	struct signalfd_siginfo info;

	if (poll(pfds, 2, next_due_ms(s)) > 0 && (pfds[0].revents & POLLIN) != 0 &&
	    read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		on_signal(s, info.ssi_signo);
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
	sigaddset(set, SIGUSR2);
	sigaddset(set, SIGCHLD);
}

void
supervisor_block_signals(void)
{
	sigset_t set;

	list_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int
begin(struct supervisor *s)
{
	sigset_t set;
	int rc;

	list_signals(&set);
	s->signal_fd = -1;
	if ((rc = counters_open(s->n_slots)) < 0 || (rc = quota_open(s->n_slots)) < 0 ||
	    (rc = board_open(s->n_slots)) < 0 || (rc = poison_open(s->n_slots)) < 0)
		return rc;
	if ((s->slots = calloc(s->n_slots, sizeof(*s->slots))) == NULL)
		return -ENOMEM;
	if ((s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		return -errno;
	s->looked_ms = clock_ms();
	return 0;
}

/* Looks at everything once. In a child it returns at once when that has finished serving. */
static void
turn(struct supervisor *s)
{
	wait_for_signal(s);
	reap(s);
	look_at_upgrade(s);
	look_at_workers(s);
	look_whether_ready(s);
	tell_alive(s);
}

int
supervisor_run(struct config *cfg, const char *config_path, struct listener *listener)
{
	struct supervisor s = {.cfg = cfg,
			       .config_path = config_path,
			       .listener = listener,
			       .n_slots = cfg->server.workers,
			       .upgrade = {.ready_fd = -1}};
	int rc = begin(&s);

	if (rc < 0) {
		logger_error("cannot begin: %s", strerror(-rc));
		s.status = 1;
	}
	while (rc == 0) {
		start_due(&s);
		if (s.is_worker || (s.is_stopping && !any_alive(&s)))
			break;
		turn(&s);
	}
	if (!s.is_worker)
		close(s.signal_fd);
	free(s.slots);
	config_free(s.cfg);
	if (s.is_worker)
		listen_forget(listener);
	else
		listen_close(listener);
	return s.status;
}
