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
	b->cap = cap;
}

void
buf_fini(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->len = b->alloc = 0;
}

int
buf_reserve(struct buf *b, size_t len)
{
	size_t need, alloc;
	char *p;

	if (len > b->cap - b->len)
		return -EMSGSIZE;
	need = b->len + len + 1; /* vsnprintf() ends its text with a NUL, which is not counted */
	if (need <= b->alloc || len == 0)
		return 0;
	alloc = b->alloc > b->cap / 2 ? b->cap + 1 : b->alloc * 2;
	if (alloc < need)
		alloc = need;
	if (alloc < FIRST_ALLOC && FIRST_ALLOC <= b->cap)
		alloc = FIRST_ALLOC;
	if ((p = realloc(b->p, alloc)) == NULL)
		return -ENOMEM;
	b->p = p;
	b->alloc = alloc;
	return 0;
}

int
buf_put(struct buf *b, const void *p, size_t len)
{
	int rc;

	if (len == 0)
		return 0;
	if ((rc = buf_reserve(b, len)) < 0)
		return rc;
	memcpy(b->p + b->len, p, len);
	b->len += len;
	return 0;
}

int
buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

int
buf_putc(struct buf *b, char c)
{
	return buf_put(b, &c, 1);
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int len, rc;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len <= 0)
		return len < 0 ? -EMSGSIZE : 0;
	if ((rc = buf_reserve(b, (size_t)len)) < 0)
		return rc;
	va_start(ap, fmt);
	vsnprintf(b->p + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
	return 0;
}

void
buf_consume(struct buf *b, size_t len)
{
	if (len >= b->len) {
		buf_fini(b);
		return;
	}
	memmove(b->p, b->p + len, b->len - len);
	b->len -= len;
}

void
buf_truncate(struct buf *b, size_t len)
{
	if (len < b->len)
		b->len = len;
}
