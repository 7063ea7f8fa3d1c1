#ifndef SLUICE_BASE_SHARED_H
#define SLUICE_BASE_SHARED_H

/*
 * shared - memory that the supervisor and all workers have in common: a head, and then rows of the
 * same size. It is mapped before the workers are forked, and it ends with the last process that has
 * it; nothing unmaps it.
 *
 * shared_get() and shared_set() read and write one number as a whole. They say nothing of the order
 * in which other processes see two numbers; where that matters, use the atomics of the compiler.
 */
#include <stddef.h>
#include <stdint.h>

/*
 * shared_map - map head bytes and n rows of row bytes each, and put the address into *out. All
 * bytes are zero, and the address is that of a page. name is what /proc/PID/maps shows, if the
 * kernel can. Returns 0; -EOVERFLOW, or the negative errno of mmap(), and then *out is as it was.
 */
int shared_map(void **out, const char *name, size_t head, size_t n, size_t row);

static inline uint64_t
shared_get(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void
shared_set(uint64_t *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELAXED);
}

#endif
