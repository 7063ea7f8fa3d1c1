#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ALLOC = 64 };

void
buf_init(struct buf *b, size_t cap)
{
	memset(b, 0, sizeof(*b));
	buf_set_cap(b, cap);
}

void
buf_set_cap(struct buf *b, size_t cap)
{
	b->cap = (uint32_t)(cap < BUF_CAP_MAX ? cap : BUF_CAP_MAX);
}

/* The beginning of the allocation. p moves on as bytes are consumed. */
static char *
base(const struct buf *b)
{
	return b->p != NULL ? b->p - b->gone : NULL;
}

void
buf_fini(struct buf *b)
{
	free(base(b));
	b->p = NULL;
	b->len = b->alloc = b->gone = 0;
}

/*
 * Makes room of what was consumed, by moving the rest to the front. It does so only if the rest is
 * smaller than what was consumed: then fewer bytes are moved than were consumed, even if they are
 * consumed in small pieces.
 */
static void
close_gap(struct buf *b)
{
	if (b->gone <= b->len)
		return;
	memmove(base(b), b->p, b->len);
	b->p -= b->gone;
	b->alloc += b->gone;
	b->gone = 0;
}

int
buf_reserve(struct buf *b, size_t len)
{
	size_t need, alloc;
	char *p;

	if (len > buf_left(b))
		return -EMSGSIZE;
	need = b->len + len + 1; /* vsnprintf() ends its text with a NUL, which is not counted */
	if (need > b->alloc)
		close_gap(b);
	if (need <= b->alloc || len == 0)
		return 0;
	alloc = b->alloc > b->cap / 2 ? b->cap + 1 : b->alloc * 2;
	if (alloc < need)
		alloc = need;
	if (alloc < FIRST_ALLOC && FIRST_ALLOC <= b->cap)
		alloc = FIRST_ALLOC;
	if ((p = realloc(base(b), b->gone + alloc)) == NULL)
		return -ENOMEM;
	b->p = p + b->gone;
	b->alloc = (uint32_t)alloc;
	return 0;
}

int
buf_put_growing(struct buf *b, const void *p, size_t len)
{
	int rc;

	if (len == 0)
		return 0;
	if ((rc = buf_reserve(b, len)) < 0)
		return rc;
	memcpy(b->p + b->len, p, len);
	buf_grow(b, len);
	return 0;
}

int
buf_put_first(struct buf *b, const void *p, size_t len)
{
	int rc;

	if (len == 0)
		return 0;
	if ((rc = buf_reserve(b, len)) < 0)
		return rc;
	memmove(b->p + len, b->p, b->len);
	memcpy(b->p, p, len);
	buf_grow(b, len);
	return 0;
}

int
buf_put_number(struct buf *b, uint64_t n)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	return buf_put(b, p, (size_t)(digits + sizeof(digits) - p));
}

/* Most texts fit into what there is; else the first try tells how long this one is. */
int
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->alloc - b->len;
	va_list again;
	int len, rc;

	if (room > buf_left(b))
		room = buf_left(b);
	va_copy(again, ap);
	len = vsnprintf(room > 0 ? b->p + b->len : NULL, room, fmt, ap);
	if (len < 0) {
		rc = -EMSGSIZE;
	} else if ((size_t)len < room || len == 0) {
		rc = 0;
	} else if ((rc = buf_reserve(b, (size_t)len)) == 0) {
		vsnprintf(b->p + b->len, (size_t)len + 1, fmt, again);
	}
	va_end(again);
	if (rc == 0)
		buf_grow(b, (size_t)len);
	return rc;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return rc;
}

void
buf_consume(struct buf *b, size_t len)
{
	if (len == 0)
		return;
	if (len >= b->len) {
		buf_fini(b);
		return;
	}
	b->p += len;
	b->len -= (uint32_t)len;
	b->alloc -= (uint32_t)len;
	b->gone += (uint32_t)len;
	close_gap(b);
}

void
buf_truncate(struct buf *b, size_t len)
{
	if (len < b->len)
		b->len = (uint32_t)len;
}
