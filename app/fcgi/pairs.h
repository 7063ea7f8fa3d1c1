#ifndef SLUICE_FCGI_PAIRS_H
#define SLUICE_FCGI_PAIRS_H

/*
 * pairs - name-value pairs as FastCGI encodes them (FastCGI 1.0, 3.4). Pure.
 */
#include <stddef.h>

#include "base/buf.h"

enum {
	PAIRS_NAME_MAX = 1024, /* bytes of one name */
	PAIRS_MAX = 500        /* pairs of one request */
};

struct pair {
	const char *name, *value; /* not NUL-terminated; borrowed from the bytes that were walked */
	size_t name_len, value_len;
};

/*
 * pairs_next - reads the pair at *at, which then stands behind it. Each length is compared with the
 * bytes that are there before it is used. Returns 1, 0 at the end, -EPROTO if the pair is cut off.
 */
int pairs_next(struct pair *out, const char **at, const char *end);

/* pairs_put - append one pair to b. Returns 0, -EMSGSIZE past b's cap or 31 bits, -ENOMEM. */
int
pairs_put(struct buf *b, const char *name, size_t name_len, const char *value, size_t value_len);

/*
 * pairs_check - may these be a request's variables? Each name once, of bytes that a
 * name can have; no NUL in a value, since all that reads them takes it for the end.
 * Sets *content_length to CONTENT_LENGTH, 0 if it is absent or empty.
 *
 * Returns 0; the HTTP status to answer (400; 413 for a CONTENT_LENGTH over body_max;
 * 431 for too many or too long names); or -EPROTO if the last pair is cut off.
 */
int pairs_check(const char *p, size_t len, size_t body_max, size_t *content_length);

#endif
