#ifndef SLUICE_BASE_BUF_H
#define SLUICE_BASE_BUF_H

/*
 * buf - bytes on the heap that grow up to a cap, which is set where the buffer is made. A buffer of
 * zero bytes holds no heap. No NUL stands behind the bytes.
 */
#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *p;
	size_t len;
	size_t alloc; /* from p on */
	size_t cap;   /* len never passes it */
	size_t gone;  /* bytes of the heap before p, which were consumed */
};

void buf_init(struct buf *b, size_t cap);
void buf_fini(struct buf *b); /* frees the heap; the buffer may be used again */

/*
 * All of these append, and leave b as it was on failure.
 * Return 0, -EMSGSIZE past the cap, -ENOMEM.
 */
int buf_put(struct buf *b, const void *p, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* buf_reserve - make room for len more bytes; then up to len may be written at b->p + b->len. */
int buf_reserve(struct buf *b, size_t len);

void
buf_consume(struct buf *b, size_t len); /* drop the first len bytes; frees the heap at 0 left */
void buf_truncate(struct buf *b, size_t len); /* keep the first len bytes and the heap */

#endif
