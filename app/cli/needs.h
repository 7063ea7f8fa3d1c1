#ifndef SLUICE_CLI_NEEDS_H
#define SLUICE_CLI_NEEDS_H

/*
 * needs - the commands that a route will send to Redis, with each parameter standing for itself.
 *
 * Redis is asked in one command whether its user may send them, and none of them is sent: that is
 * what acl_check_cmd of its scripts is for (since 7; before that Redis cannot say it). Pure.
 * Source: redis.io/docs/latest/develop/programmability/lua-api.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct config;
struct route;
struct template;

enum { NEEDS_WORDS_MAX = 512 };

/* words are an EVAL's: each command's words, and before them how many they are. */
struct needs {
	const struct config *cfg;
	char *words[NEEDS_WORDS_MAX];
	int n_words, n_commands;
	bool needs_eval; /* it sends scripts of its own */
};

/*
 * needs_of_route, needs_of_sessions - fill out, which must be given to needs_fini() in any case.
 * Return 0, -ENOMEM; or -E2BIG, and then the commands that fit are there.
 */
int needs_of_route(struct needs *out, const struct config *cfg, const struct route *rt);
int needs_of_sessions(struct needs *out, const struct config *cfg);
void needs_fini(struct needs *needs);

/* needs_print - the n-th of them, from 0 on, as the user would type it. False past the last. */
bool needs_print(const struct needs *needs, int n, char *out, size_t len);

/*
 * needs_expand - makes out an example of a name, in which each parameter stands for itself, with a
 * NUL behind it. Returns 0; less if memory is short.
 */
int needs_expand(const struct template *t, const char *prefix, struct buf *out);

#endif
