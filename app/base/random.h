#ifndef SLUICE_BASE_RANDOM_H
#define SLUICE_BASE_RANDOM_H

/*
 * random - random numbers that spread things over time: when clients return, when sessions are
 * looked at again; and secrets, which nobody can guess.
 */
#include <stddef.h>

/*
 * random_below - from 0 to n - 1, each as likely; 0 if n is 0. No two processes draw the same
 * sequence.
 */
unsigned random_below(unsigned n);

enum { RANDOM_SECRET_MAX = 64 };

/*
 * random_secret - n bytes, at most RANDOM_SECRET_MAX, of the kernel's, as 2 * n hexadecimal digits
 * with a NUL behind them. Returns 0, -EIO.
 */
int random_secret(char *out, size_t n);

#endif
