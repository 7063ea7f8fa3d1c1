#ifndef SLUICE_CONFIG_PARAM_RULE_H
#define SLUICE_CONFIG_PARAM_RULE_H

/*
 * param_rule - what the rule of a parameter (param.NAME) costs, and which bytes it lets through. A
 * rule is a POSIX extended expression. Back-references and large repetitions are refused: regcomp()
 * would copy ((a{1,255}){1,255}) 65,025 times, and a back-reference makes matching exponential.
 */
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#define PARAM_RULE_LEN_MAX    512
#define PARAM_RULE_REPEAT_MAX 255 /* also for the product of nested ones */
#define PARAM_RULE_COST_MAX \
	4096 /* characters and classes, once all repetitions are written out \
	      */

struct param_rule_bytes {
	bool has[256];
};

/*
 * param_rule_check - bytes gets every byte that a matching value may hold (it may name more, never
 * less). On failure why gets one line. Returns 0, -EINVAL.
 */
int param_rule_check(const char *text, struct param_rule_bytes *bytes, char *why, size_t why_len);

/*
 * param_rule_compile - the whole value must match. text has passed param_rule_check(). On failure
 * why gets one line. Returns 0 and *out, which the caller gives to regfree(); -EINVAL, -ENOMEM.
 */
int param_rule_compile(regex_t *out, const char *text, char *why, size_t why_len);

#endif
