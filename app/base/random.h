#ifndef SLUICE_BASE_RANDOM_H
#define SLUICE_BASE_RANDOM_H

/*
 * random - random numbers that spread things over time: when clients return, when sessions are
 * looked at again. They are no secrets: secrets are drawn with getrandom(2) where they are made.
 */

/*
 * random_below - from 0 to n - 1, each as likely; 0 if n is 0. No two processes draw the same
 * sequence.
 */
unsigned random_below(unsigned n);

#endif
