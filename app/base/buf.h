#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

/*
 * buf - bytes on the heap that grow up to a cap, which is set where the buffer is made. A buffer of
 * zero bytes holds no heap. No NUL stands behind the bytes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Each client has two, so lengths are of 32 bits. */
struct buf {
	char *p;
	uint32_t len;
	uint32_t alloc; /* from p on */
	uint32_t cap;   /* len never passes it */
	uint32_t gone;  /* bytes of the heap before p, which were consumed */
};

#define BUF_CAP_MAX ((size_t)INT32_MAX)

void buf_init(struct buf *b, size_t cap);    /* a cap above BUF_CAP_MAX is BUF_CAP_MAX */
void buf_set_cap(struct buf *b, size_t cap); /* it may be less than what b holds */
void buf_fini(struct buf *b);                /* frees the heap; the buffer may be used again */

/*
 * All of these append, if they do not say otherwise, and leave b as it was on failure.
 * Return 0, -EMSGSIZE past the cap, -ENOMEM.
 */
int buf_put_growing(struct buf *b, const void *p, size_t len); /* what buf_put() calls */
int buf_put_first(struct buf *b, const void *p, size_t len);   /* before what it holds */
int buf_put_number(struct buf *b, uint64_t n);                 /* its decimal digits */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Up to its cap, which may have been lowered since. */
static inline size_t
buf_left(const struct buf *b)
{
	return b->cap > b->len ? b->cap - b->len : 0;
}

/* Inline, for most of what the program does is to append, and mostly there is room. */
static inline int
buf_put(struct buf *b, const void *p, size_t len)
{
	/* There is room for a NUL, too. */
	if (len == 0 || len >= b->alloc - b->len || len > buf_left(b))
		return buf_put_growing(b, p, len);
	memcpy(b->p + b->len, p, len);
	b->len += (uint32_t)len;
	return 0;
}

static inline int
buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

static inline int
buf_putc(struct buf *b, char c)
{
	return buf_put(b, &c, 1);
}

/*
 * buf_reserve - make room for len more bytes; then up to len may be written at b->p + b->len, and
 * buf_grow() says how many were.
 */
int buf_reserve(struct buf *b, size_t len);
static inline void
buf_grow(struct buf *b, size_t len)
{
	b->len += (uint32_t)len;
}

void
buf_consume(struct buf *b, size_t len); /* drop the first len bytes; frees the heap at 0 left */
void buf_truncate(struct buf *b, size_t len); /* keep the first len bytes and the heap */

#endif
