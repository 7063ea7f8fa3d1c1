/*
 * common.h - what the load client, the publisher and the floor share.
 *
 * Errors in the command line end the program with status 2: these are tools for
 * the hand and for run.py, with nothing to clean up.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NS_PER_S UINT64_C(1000000000)

struct endpoint {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* now_ns - CLOCK_MONOTONIC, ns: one clock for publisher and client of one machine. */
uint64_t now_ns(void);

/* die - print "PROGRAM: message" to stderr, exit 2. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* parse_count - text as a number up to max; dies naming the option otherwise. */
uint64_t parse_count(const char *option, const char *text, uint64_t max);

/* raise_nofile - RLIMIT_NOFILE up to the hard limit; a failure only leaves it low. */
void raise_nofile(void);

/* expand_index - template with its first "%d" replaced by index; dies if it does not fit cap. */
void expand_index(char *out, size_t cap, const char *template, unsigned index);

/* endpoint_parse - "unix:PATH", "HOST:PORT" or "[HOST]:PORT", numeric; dies if it is neither. */
void endpoint_parse(struct endpoint *ep, const char *text);

/*
 * endpoint_connect - a new socket connected, or connecting, to ep.
 *
 * flags are for socket(2), as SOCK_NONBLOCK. Returns the descriptor or a
 * negative errno: -EAGAIN while the backlog of a unix socket is full.
 * *pending says that a TCP connect has begun only; it may be NULL when blocking.
 */
int endpoint_connect(const struct endpoint *ep, int flags, int *pending);

#endif
