#ifndef SLUICE_BASE_RANDOM_H
#define SLUICE_BASE_RANDOM_H

/*
 * random - chance that spreads things: returns, looks at sessions. No secret: those are drawn with
 * getrandom(2) where they are made.
 */

/* random_below - from 0 to n - 1, all alike; 0 if n is 0. No two processes draw the same row. */
unsigned random_below(unsigned n);

#endif
