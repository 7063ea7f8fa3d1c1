#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MORE_PLACES ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"

enum {
	LINES_TOLD = 12,
	PATIENCE_MS = 5000, /* from TERM to KILL */
	LOOK_MS = 10,
};

bool
child_find(const char *program, char path[PATH_MAX])
{
	const char *own = getenv("PATH");
	char *places, *save = NULL;
	bool is_found = false;

	if (asprintf(&places, "%s" MORE_PLACES, own != NULL ? own : "") < 0)
		return false;
	for (char *one = strtok_r(places, ":", &save); one != NULL && !is_found;
	     one = strtok_r(NULL, ":", &save)) {
		snprintf(path, PATH_MAX, "%s/%s", one, program);
		is_found = access(path, X_OK) == 0;
	}
	free(places);
	return is_found;
}

/*
 * Runs in the child. The program that it executes must not inherit our blocked signals, and must
 * end when we do.
 */
static void
become(const struct child *child, const char *const *argv, pid_t parent)
{
	sigset_t none;
	int fd;

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1); /* the parent died before the line above */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if ((fd = open("/dev/null", O_RDONLY)) >= 0)
		dup2(fd, STDIN_FILENO);
	if (child->log != NULL &&
	    (fd = open(child->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	execv(argv[0], (char *const *)(void *)argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int
child_start(struct child *child, const char *const *argv)
{
	pid_t parent = getpid();

	fflush(stdout);
	child->pid = fork();
	if (child->pid == 0)
		become(child, argv, parent);
	if (child->pid > 0)
		return 0;
	child->pid = 0;
	return -errno;
}

void
child_print_log(const struct child *child)
{
	long at[LINES_TOLD] = {0};
	unsigned n = 0;
	FILE *f;
	int c;

	if (child->log == NULL || (f = fopen(child->log, "re")) == NULL)
		return;
	while ((c = fgetc(f)) != EOF) {
		if (c == '\n')
			at[++n % LINES_TOLD] = ftell(f);
	}
	fseek(f, n >= LINES_TOLD ? at[(n + 1) % LINES_TOLD] : 0, SEEK_SET);
	while ((c = fgetc(f)) != EOF)
		fputc(c, stderr);
	fclose(f);
}

/* Returns whether any still runs. */
static bool
look(struct child *children, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (children[i].pid > 0 && waitpid(children[i].pid, NULL, WNOHANG) != 0)
			children[i].pid = 0;
		any = any || children[i].pid > 0;
	}
	return any;
}

/* SIGKILL goes to the whole session, because a server that is killed cannot end its own workers. */
static void
tell(struct child *children, size_t n, int signum)
{
	while (n-- > 0) {
		if (children[n].pid > 0)
			kill(signum == SIGKILL ? -children[n].pid : children[n].pid, signum);
	}
}

void
child_end_all(struct child *children, size_t n)
{
	const struct timespec while_ = {.tv_nsec = LOOK_MS * 1000000L};

	tell(children, n, SIGTERM);
	for (unsigned ms = 0; look(children, n) && ms < PATIENCE_MS; ms += LOOK_MS)
		nanosleep(&while_, NULL);
	tell(children, n, SIGKILL);
	while (look(children, n))
		nanosleep(&while_, NULL);
}
