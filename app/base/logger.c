#include "base/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_LEN = 1024, OUT_MAX = 8 * 1024 };

static struct {
	int fd;     /* -1: syslog */
	char *path; /* NULL: stderr or syslog */
	enum logger_level level;
	enum logger_format format;
	bool is_journal; /* systemd's journal reads stderr: it knows the time, and reads a level */
	unsigned n_lost;
} logger = {.fd = STDERR_FILENO, .level = LOGGER_INFO};

const char *const logger_levels[] = {
    [LOGGER_ERROR] = "error",
    [LOGGER_WARN] = "warn",
    [LOGGER_INFO] = "info",
    [LOGGER_DEBUG] = "debug",
    NULL,
};
const char *const logger_formats[] = {
    [LOGGER_TEXT] = "text",
    [LOGGER_JSON] = "json",
    NULL,
};
static const int priorities[] = {
    [LOGGER_ERROR] = LOG_ERR,
    [LOGGER_WARN] = LOG_WARNING,
    [LOGGER_INFO] = LOG_INFO,
    [LOGGER_DEBUG] = LOG_DEBUG,
};

/* JOURNAL_STREAM names the device and inode that systemd connected (systemd.exec(5)). */
static bool
is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	char *end;
	struct stat st;

	if (stream == NULL || fd < 0 || fstat(fd, &st) < 0)
		return false;
	dev = strtoull(stream, &end, 10);
	if (*end != ':')
		return false;
	ino = strtoull(end + 1, &end, 10);
	return *end == '\0' && dev == st.st_dev && ino == st.st_ino;
}

static int
open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	if (fd < 0)
		return -errno;
	return fd;
}

static void
use_fd(int fd, char *path)
{
	if (logger.path != NULL && logger.fd >= 0)
		close(logger.fd);
	free(logger.path);
	logger.fd = fd;
	logger.path = path;
	logger.is_journal = fd == STDERR_FILENO && is_journal(fd);
}

int
logger_open(const char *to, enum logger_level level, enum logger_format format)
{
	char *path;
	int fd;

	if (strcmp(to, "stderr") == 0) {
		use_fd(STDERR_FILENO, NULL);
	} else if (strcmp(to, "syslog") == 0) {
		openlog("sluice", LOG_PID, LOG_DAEMON);
		use_fd(-1, NULL);
	} else {
		if ((path = strdup(to)) == NULL)
			return -ENOMEM;
		if ((fd = open_path(path)) < 0) {
			free(path);
			return fd;
		}
		use_fd(fd, path);
	}
	logger.level = level;
	logger.format = format;
	/*
	 * If the reader of the log has gone or the file is full, lines are lost and the process
	 * lives on.
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

int
logger_reopen(void)
{
	int fd;

	if (logger.path == NULL)
		return 0;
	if ((fd = open_path(logger.path)) < 0)
		return fd;
	close(logger.fd);
	logger.fd = fd;
	return 0;
}

int
logger_give(uid_t uid)
{
	return logger.path != NULL ? fchown(logger.fd, uid, (gid_t)-1) : 0;
}

bool
logger_may_reopen(void)
{
	const char *slash = logger.path != NULL ? strrchr(logger.path, '/') : NULL;
	char dir[PATH_MAX];

	if (slash == NULL)
		return true;
	snprintf(dir, sizeof(dir), "%.*s", slash > logger.path ? (int)(slash - logger.path) : 1,
		 logger.path);
	return faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
}

/* What is not printable ASCII is shown as \xNN; JSON needs the backslash itself doubled. */
static size_t
escape(char *out, size_t max, const char *text, bool json)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = 0;

	for (; *text != '\0' && len + 6 < max; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c > 0x7e) {
			if (json)
				out[len++] = '\\';
			out[len++] = '\\';
			out[len++] = 'x';
			out[len++] = hex[c >> 4];
			out[len++] = hex[c & 15];
			continue;
		}
		if (json && (c == '"' || c == '\\'))
			out[len++] = '\\';
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return len;
}

static int
format_line(char *out, size_t max, enum logger_level level, const char *text)
{
	char when[sizeof("2026-01-01T00:00:00Z")];
	time_t now = time(NULL);
	struct tm tm;

	if (logger.is_journal && logger.format == LOGGER_TEXT)
		return snprintf(out, max, "<%d>%s\n", priorities[level], text);
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (logger.format == LOGGER_JSON)
		return snprintf(
		    out, max, "{\"time\":\"%s\",\"level\":\"%s\",\"pid\":%d,\"message\":\"%s\"}\n",
		    when, logger_levels[level], (int)getpid(), text);
	return snprintf(out, max, "%s %d %s %s\n", when, (int)getpid(), logger_levels[level], text);
}

/*
 * A pipe or terminal that nobody reads must not stop the loop. A pipe that polls writable takes a
 * line of up to PIPE_BUF (4096) bytes as a whole (pipe(7)).
 */
static bool
write_line(enum logger_level level, const char *text)
{
	struct pollfd pfd = {.fd = logger.fd, .events = POLLOUT};
	char line[OUT_MAX];
	int len = format_line(line, sizeof(line), level, text);

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) != 0 &&
	       write(logger.fd, line, (size_t)len) == len;
}

/* The count stays until the line that reports it has been written. */
static void
tell_lost(void)
{
	char text[64];

	snprintf(text, sizeof(text), "%u lines of this log could not be written", logger.n_lost);
	if (write_line(LOGGER_WARN, text))
		logger.n_lost = 0;
}

__attribute__((format(printf, 2, 0))) static void
say(enum logger_level level, const char *fmt, va_list ap)
{
	char raw[LINE_MAX_LEN], text[LINE_MAX_LEN * 3];

	if (level > logger.level)
		return;
	if (vsnprintf(raw, sizeof(raw), fmt, ap) < 0)
		return;
	escape(text, sizeof(text), raw, logger.format == LOGGER_JSON && logger.fd >= 0);
	if (logger.fd < 0) {
		syslog(priorities[level], "%s", text);
		return;
	}
	if (logger.n_lost > 0)
		tell_lost();
	if (logger.n_lost > 0 || !write_line(level, text))
		logger.n_lost++;
}

#define DEFINE_LOGGER(name, level) \
	void name(const char *fmt, ...) \
	{ \
		va_list ap; \
\
		va_start(ap, fmt); \
		say(level, fmt, ap); \
		va_end(ap); \
	}

DEFINE_LOGGER(logger_error, LOGGER_ERROR)
DEFINE_LOGGER(logger_warn, LOGGER_WARN)
DEFINE_LOGGER(logger_info, LOGGER_INFO)
DEFINE_LOGGER(logger_debug, LOGGER_DEBUG)

bool
logger_may(struct logger_pause *pause, uint64_t now_ms, uint64_t period_ms)
{
	if (pause->last_ms != 0 && now_ms - pause->last_ms < period_ms) {
		pause->n_held++;
		return false;
	}
	pause->last_ms = now_ms == 0 ? 1 : now_ms;
	pause->n_reported = pause->n_held;
	pause->n_held = 0;
	return true;
}
