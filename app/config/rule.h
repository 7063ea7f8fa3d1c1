#ifndef SLUICE_RULE_H
#define SLUICE_RULE_H

/*
 * rule - what a parameter's expression costs and which bytes it lets through.
 *
 * POSIX extended expressions. Back-references and large repetitions are refused: regcomp() would
 * copy
 * ((a{1,255}){1,255}) 65,025 times, and a back-reference makes matching exponential.
 */
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#define RULE_LEN_MAX    512
#define RULE_REPEAT_MAX 255  /* also for the product of nested ones */
#define RULE_COST_MAX   4096 /* characters and classes, once all repetitions are written out */

struct rule_bytes {
	bool has[256];
};

/*
 * rule_check - bytes gets every byte that a matching value may hold (it may name more, never less).
 * On failure why gets one line. Returns 0, -EINVAL.
 */
int rule_check(const char *text, struct rule_bytes *bytes, char *why, size_t why_len);

/*
 * rule_compile - the whole value must match. text has passed rule_check(). On failure why gets one
 * line. Returns 0 and *out, which the caller gives to regfree(); -EINVAL, -ENOMEM.
 */
int rule_compile(regex_t *out, const char *text, char *why, size_t why_len);

#endif
