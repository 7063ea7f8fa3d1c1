#ifndef SLUICE_HUB_COUNT_H
#define SLUICE_HUB_COUNT_H

/* count - counts an event that is not sent. */
#include <errno.h>

#include "base/counters.h"

/* count_drop - counts it in a route's tally, by this error. */
static inline void
count_drop(unsigned counted, int rc)
{
	counters_add_of(counted, rc == -ENOMEM ? COUNTER_DROPPED_MEMORY : COUNTER_DROPPED_INVALID,
			1);
}

#endif
