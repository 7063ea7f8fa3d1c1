#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void);    /* monotonic, milliseconds */
int64_t clock_unix(void);   /* wall clock, seconds since 1970 */
double clock_unix_ms(void); /* the same in milliseconds, with their fractions */

#endif
