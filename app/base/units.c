#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The units stand from small to large: a number is written with the last unit that divides it. */
static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1}, {"k", 1024}, {"m", 1048576}, {NULL, 0}};

/* The digits at the start of text; *end is what follows them. */
static int
digits(uint64_t *out, const char *text, const char **end)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return -EINVAL;
	}
	if (p == text)
		return -EINVAL;
	*out = n;
	*end = p;
	return 0;
}

static int
with_unit(uint64_t *out, const char *text, const struct unit *units)
{
	const char *end;
	uint64_t n;

	if (digits(&n, text, &end) < 0)
		return -EINVAL;
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(end, u->name) == 0)
			return __builtin_mul_overflow(n, u->factor, out) ? -EINVAL : 0;
	}
	return -EINVAL;
}

int
units_number(uint64_t *out, const char *text)
{
	const char *end;
	uint64_t n;

	if (digits(&n, text, &end) < 0 || *end != '\0')
		return -EINVAL;
	*out = n;
	return 0;
}

int
units_duration(uint64_t *ms, const char *text)
{
	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return 0;
	}
	return with_unit(ms, text, durations);
}

int
units_size(uint64_t *bytes, const char *text)
{
	return with_unit(bytes, text, sizes);
}

static const char *
to_text(char *text, uint64_t n, const struct unit *units)
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->name != NULL; u++) {
		if (n % u->factor == 0)
			best = u;
	}
	snprintf(text, UNITS_TEXT, "%" PRIu64 "%s", n / best->factor, n == 0 ? "" : best->name);
	return text;
}

const char *
units_duration_text(char text[UNITS_TEXT], uint64_t ms)
{
	return to_text(text, ms, durations);
}

const char *
units_size_text(char text[UNITS_TEXT], uint64_t bytes)
{
	return to_text(text, bytes, sizes);
}
