#ifndef SLUICE_LOGIC_RENDERING_H
#define SLUICE_LOGIC_RENDERING_H

/*
 * rendering - what a route's logic made of one message: any number of events, as bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { RENDERING_EVENTS_MAX = 1000, RENDERING_BYTES_MAX = 16 * 1024 * 1024 };

struct rendered {
	size_t at, len; /* of the data, in bytes */
	size_t type_at, type_len;
	bool has_type; /* it has a name of its own, in place of the route's */
};

struct rendering {
	struct buf bytes;
	struct rendered *v;
	size_t n, alloc;
	bool ends;         /* the feed ends when these have been sent */
	uint64_t after_ms; /* when the script wants to be called again; 0: not at all */
};

void rendering_init(struct rendering *r);
void rendering_fini(struct rendering *r);
void rendering_clear(struct rendering *r); /* keeps the memory, if it is not much */

/*
 * rendering_add - one more event, whose data is the end of bytes from at on. type is copied; NULL:
 * none. Returns 0, -E2BIG past RENDERING_EVENTS_MAX, -EMSGSIZE, -ENOMEM.
 */
int rendering_add(struct rendering *r, size_t at, const char *type, size_t type_len);

/* rendering_at - the bytes at an offset; valid until more are added. */
const char *rendering_at(const struct rendering *r, size_t at);

#endif
