#include "auth/bytes.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Up to three bytes become one character more than there are bytes. */
static int
put_group(struct buf *b, const unsigned char *p, size_t n)
{
	unsigned bits = (unsigned)p[0] << 16;
	int rc = 0;

	if (n > 1)
		bits |= (unsigned)p[1] << 8;
	if (n > 2)
		bits |= p[2];
	for (size_t i = 0; i <= n && rc == 0; i++)
		rc = buf_putc(b, alphabet[bits >> (18 - 6 * i) & 63]);
	return rc;
}

int
bytes_put_base64url(struct buf *b, const void *p, size_t len)
{
	const unsigned char *byte = p;
	int rc = 0;

	for (; len > 0 && rc == 0; byte += 3, len -= len < 3 ? len : 3)
		rc = put_group(b, byte, len < 3 ? len : 3);
	return rc;
}

static const char alphabet_padded[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
sextet(const char *of, char c)
{
	const char *at = c != '\0' ? strchr(of, c) : NULL;

	return at != NULL ? (int)(at - of) : -1;
}

static int
decode(struct buf *b, const char *of, const char *text, size_t len)
{
	unsigned bits = 0, n_bits = 0;
	int six, rc;

	if (len % 4 == 1)
		return -EINVAL;
	for (; len > 0; text++, len--) {
		if ((six = sextet(of, *text)) < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned)six;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		if ((rc = buf_putc(b, (char)(bits >> n_bits))) < 0)
			return rc;
		bits &= (1U << n_bits) - 1;
	}
	return bits == 0 ? 0 : -EINVAL;
}

int
bytes_decode_base64url(struct buf *b, const char *text, size_t len)
{
	return decode(b, alphabet, text, len);
}

int
bytes_decode_base64(struct buf *b, const char *text, size_t len)
{
	if (len % 4 != 0)
		return -EINVAL;
	for (size_t i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
		len--;
	return decode(b, alphabet_padded, text, len);
}

int
bytes_put_hex(struct buf *b, const void *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *byte = p;
	int rc = 0;

	for (; len > 0 && rc == 0; byte++, len--) {
		if ((rc = buf_putc(b, digits[*byte >> 4])) == 0)
			rc = buf_putc(b, digits[*byte & 15]);
	}
	return rc;
}

size_t
bytes_hmac(unsigned char out[BYTES_HMAC_MAX], unsigned bits, const void *key, size_t key_len,
	   const void *text, size_t len)
{
	const EVP_MD *md = bits == 160   ? EVP_sha1()
			   : bits == 256 ? EVP_sha256()
			   : bits == 384 ? EVP_sha384()
					 : EVP_sha512();
	unsigned n = 0;

	if (key_len > INT_MAX || HMAC(md, key, (int)key_len, text, len, out, &n) == NULL)
		return 0;
	return n;
}

bool
bytes_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0;
}
