#ifndef SLUICE_BASE_CLOCK_H
#define SLUICE_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void);  /* monotonic, milliseconds */
int64_t clock_unix(void); /* wall clock, seconds since 1970 */

#endif
