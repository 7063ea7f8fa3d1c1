#ifndef SLUICE_BASE_DIGEST_H
#define SLUICE_BASE_DIGEST_H

/*
 * digest - texts as six characters, which tell one text from another and are the same on every
 * machine. Two texts with the same digest are easy to find, so it protects nothing. Pure.
 */
#include <stdint.h>

#define DIGEST_DIGITS "0123456789abcdefghijkmnpqrstuvwx"

enum { DIGEST_TEXT = 6 };

/* digest_add - one text more; state is 0 at first. */
uint64_t digest_add(uint64_t state, const char *text);
void digest_put(char out[DIGEST_TEXT + 1], uint64_t state);

#endif
