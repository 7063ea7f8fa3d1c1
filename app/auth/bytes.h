#ifndef SLUICE_AUTH_BYTES_H
#define SLUICE_AUTH_BYTES_H

/*
 * bytes - the encodings of credentials: base64url, base64, hexadecimal, and HMAC with SHA-2. Pure.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { BYTES_HMAC_MAX = 64 };

/*
 * bytes_put_base64url, bytes_decode_base64url - without padding (RFC 4648, 5; RFC 7515, 2). Only
 * one spelling of each text can be decoded: the bits that no byte needs must be zero. Returns 0;
 * -EINVAL, -ENOMEM, -EMSGSIZE.
 */
int bytes_put_base64url(struct buf *b, const void *p, size_t len);
int bytes_decode_base64url(struct buf *b, const char *text, size_t len);

/*
 * bytes_decode_base64 - with "+", "/" and padding (RFC 4648, 4); here, too, only one spelling is
 * accepted.
 */
int bytes_decode_base64(struct buf *b, const char *text, size_t len);

/* bytes_put_hex - two lower-case digits for each byte. Returns 0, -ENOMEM, -EMSGSIZE. */
int bytes_put_hex(struct buf *b, const void *p, size_t len);

/* bytes_hmac - RFC 2104 with SHA-2 of bits (256, 384, 512), or SHA-1 (160) as Flask has it. Returns
 * the length, bits / 8; 0 if the library cannot. */
size_t bytes_hmac(unsigned char out[BYTES_HMAC_MAX], unsigned bits, const void *key, size_t key_len,
		  const void *text, size_t len);

/* bytes_equal - in a time that depends on the lengths alone. */
bool bytes_equal(const void *a, size_t a_len, const void *b, size_t b_len);

#endif
