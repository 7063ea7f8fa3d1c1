#ifndef SLUICE_BASE_LOGGER_H
#define SLUICE_BASE_LOGGER_H

/*
 * logger - what the program says to its operator, one line a call.
 *
 * Bytes outside printable ASCII are written as \xNN and a line is cut at 1 KiB, so that nothing
 * that came from outside can forge a line. Writing never blocks: a line that the descriptor does
 * not take is dropped and counted. (The name "log" belongs to the log of a feed.)
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum logger_level { LOGGER_ERROR, LOGGER_WARN, LOGGER_INFO, LOGGER_DEBUG };
enum logger_format { LOGGER_TEXT, LOGGER_JSON };
extern const char *const logger_levels[], *const logger_formats[]; /* as a user writes them */

/*
 * logger_open - to is "stderr", "syslog" or a file's path (appended, made with mode 0640).
 * On failure the logger stays as it was. From the first success on, SIGPIPE and SIGXFSZ are
 * ignored in this process: neither a reader that has gone nor a full file may end it.
 * Returns 0 or a negative errno of open(2).
 */
int logger_open(const char *to, enum logger_level level, enum logger_format format);
int logger_reopen(void); /* for SIGUSR1: opens the same path anew. 0 or a negative errno. */

/*
 * logger_give - make this user the owner of the log's file, if there is one, so that he can open it
 * anew. Returns 0, or -1 and errno.
 */
int logger_give(uid_t uid);
bool logger_may_reopen(void); /* could logger_reopen() make a new file? */

void logger_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void logger_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void logger_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void logger_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The usual period_ms below: of a fault that lasts, one line a minute is enough. */
enum { LOGGER_PERIOD_MS = 60000 };

/*
 * logger_pause - limits how often one kind of line is written. logger_may() is true if a line may
 * be written now, at most once each period_ms. Lines that were suppressed meanwhile are counted in
 * n_held; the next true moves their number to n_reported, which the caller may print.
 */
struct logger_pause {
	uint64_t last_ms;
	unsigned n_held,
	    n_reported; /* n_reported: suppressed before the line that may be written now */
};
bool logger_may(struct logger_pause *pause, uint64_t now_ms, uint64_t period_ms);

#endif
