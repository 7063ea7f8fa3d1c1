#ifndef SLUICE_SSE_UTF8_H
#define SLUICE_SSE_UTF8_H

#include <stddef.h>

/* utf8_valid_len - how many bytes of p, from its start, are whole and valid UTF-8 (RFC 3629). */
size_t utf8_valid_len(const char *p, size_t len);

/*
 * utf8_bad_len - the length of the maximal subpart of an ill-formed sequence
 * that starts at p: what one U+FFFD stands for. 1 to 3; p[0] must start one.
 * Source: Unicode 15, 3.9 "U+FFFD Substitution of Maximal Subparts".
 */
size_t utf8_bad_len(const char *p, size_t len);

#endif
