#ifndef SLUICE_UNITS_H
#define SLUICE_UNITS_H

/*
 * units - the numbers of a configuration: 250ms 5s 30m 2h, 64k 1m, 12.
 *
 * Digits only: no sign, no point, no space, no octal or hexadecimal, whatever the locale.
 */
#include <stddef.h>
#include <stdint.h>

/* Each returns 0, or -EINVAL for what is no such number or does not fit into 64 bits. */
int units_number(uint64_t *out, const char *text);
int units_duration(uint64_t *ms, const char *text); /* without a unit only 0 */
int units_size(uint64_t *bytes, const char *text);  /* bytes, k (1024) or m (1024 * 1024) */

/* The same value as it would be written, in the largest unit that leaves no rest. */
#define UNITS_TEXT 32
const char *units_duration_text(char text[UNITS_TEXT], uint64_t ms);
const char *units_size_text(char text[UNITS_TEXT], uint64_t bytes);

#endif
