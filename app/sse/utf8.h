#ifndef SLUICE_SSE_UTF8_H
#define SLUICE_SSE_UTF8_H

#include <stddef.h>

#include "base/buf.h"

/* utf8_valid_len - how many bytes of p, from its start, are whole and valid UTF-8 (RFC 3629). */
size_t utf8_valid_len(const char *p, size_t len);

/*
 * utf8_put - appends p as UTF-8, by put() if it is not NULL. Each maximal ill-formed subpart
 * becomes U+FFFD; their number is added to *n_replaced if it is not NULL. Returns 0, or what put()
 * fails with.
 */
typedef int (*utf8_put_fn)(struct buf *b, const char *p, size_t len);
int utf8_put(struct buf *b, utf8_put_fn put, const char *p, size_t len, size_t *n_replaced);

#endif
