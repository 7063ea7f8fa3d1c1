#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { SERVE_MS = 10000 };

/* The pipe's end in the new program. */
static const char ready_name[] = "SLUICE_READY_FD";

static char program[PATH_MAX];
static char **arguments;
static int ready_fd = -1;

void
upgrade_remember(char **argv)
{
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	const char *text = getenv(ready_name);

	program[len > 0 ? len : 0] = '\0';
	arguments = argv;
	if (text == NULL)
		return;
	ready_fd = (int)strtol(text, NULL, 10);
	unsetenv(ready_name);
	if (fcntl(ready_fd, F_SETFD, FD_CLOEXEC) < 0)
		ready_fd = -1;
}

/* Runs in the new process. It returns only if the program cannot be executed. */
static void
become(const struct listener *listener, int pipe_fd)
{
	char text[24];
	sigset_t none;
	int fd;

	/* The socket gets descriptor 3, so the pipe must have another. */
	if ((fd = fcntl(pipe_fd, F_DUPFD, 4)) < 0 || listen_hand_over(listener) < 0)
		return;
	snprintf(text, sizeof(text), "%d", fd);
	setenv(ready_name, text, 1);
	snprintf(text, sizeof(text), "%ld", (long)getpid());
	if (getenv("WATCHDOG_PID") != NULL)
		setenv("WATCHDOG_PID", text, 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(program, arguments);
}

int
upgrade_begin(struct upgrade *up, const struct listener *listener)
{
	int ends[2];
	pid_t pid;

	if (program[0] == '\0')
		return -ENOENT;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	if ((pid = fork()) == 0) {
		become(listener, ends[1]);
		_exit(127);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -errno;
	}
	*up =
	    (struct upgrade){.pid = pid, .ready_fd = ends[0], .deadline_ms = clock_ms() + SERVE_MS};
	return 0;
}

bool
upgrade_look(const struct upgrade *up)
{
	char c;

	return read(up->ready_fd, &c, 1) == 1;
}

void
upgrade_forget(struct upgrade *up, bool kill_it)
{
	if (up->pid > 0 && kill_it) {
		kill(up->pid, SIGKILL); /* its workers die with it */
		waitpid(up->pid, NULL, 0);
	}
	if (up->ready_fd >= 0)
		close(up->ready_fd);
	*up = (struct upgrade){.ready_fd = -1};
}

void
upgrade_tell(void)
{
	if (ready_fd >= 0 && write(ready_fd, "1", 1) == 1)
		upgrade_drop();
}

void
upgrade_drop(void)
{
	if (ready_fd >= 0)
		close(ready_fd);
	ready_fd = -1;
}
