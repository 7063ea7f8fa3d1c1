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
	bool has_type; /* a name of its own, instead of the route's */
};

struct rendering {
	struct buf bytes;
	struct rendered *v;
	size_t n, alloc;
	bool ends;         /* the feed's subscribers, once these are sent */
	uint64_t after_ms; /* the script wants to be called again; 0: not */
};

void rendering_init(struct rendering *r);
void rendering_fini(struct rendering *r);
void rendering_clear(struct rendering *r); /* keeps the memory, if it is not much */

/*
 * rendering_add - what stands in bytes from at on is one more event's data; type is copied, NULL:
 * none. Returns 0, -E2BIG past RENDERING_EVENTS_MAX, -EMSGSIZE, -ENOMEM.
 */
int rendering_add(struct rendering *r, size_t at, const char *type, size_t type_len);

/* rendering_at - what stands at an offset of bytes; valid until more is added. */
const char *rendering_at(const struct rendering *r, size_t at);

#endif
