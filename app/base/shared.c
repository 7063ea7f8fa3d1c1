#include "base/shared.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* The headers have it from Linux 5.17 on; the kernel does it for shared memory from 6.2 on. */
#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

int
shared_map(void **out, const char *name, size_t head, size_t n, size_t row)
{
	size_t len;
	void *p;

	if (__builtin_mul_overflow(n, row, &len) || __builtin_add_overflow(len, head, &len))
		return -EOVERFLOW;
	/* A page that is never touched takes no memory. */
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	if (p == MAP_FAILED)
		return -errno;
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, len, name);
	*out = p;
	return 0;
}
