#include "sse/utf8.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * For each lead byte: how many bytes follow, and the range of the first of them. The range shuts
 * out overlong forms, surrogates and what lies beyond U+10FFFF.
 * Source: RFC 3629, section 4; Unicode 15, table 3-7.
 */
struct form {
	unsigned char n_more; /* 0: no lead byte */
	unsigned char low, high;
};

static struct form
form_of(unsigned char lead)
{
	if (lead >= 0xC2 && lead <= 0xDF)
		return (struct form){1, 0x80, 0xBF};
	if (lead == 0xE0)
		return (struct form){2, 0xA0, 0xBF};
	if (lead == 0xED)
		return (struct form){2, 0x80, 0x9F};
	if (lead >= 0xE1 && lead <= 0xEF)
		return (struct form){2, 0x80, 0xBF};
	if (lead == 0xF0)
		return (struct form){3, 0x90, 0xBF};
	if (lead == 0xF4)
		return (struct form){3, 0x80, 0x8F};
	if (lead >= 0xF1 && lead <= 0xF3)
		return (struct form){3, 0x80, 0xBF};
	return (struct form){0, 0, 0};
}

/* How many bytes from p belong together; *whole if they are a valid character. */
static size_t
sequence_len(const unsigned char *p, size_t len, bool *whole)
{
	struct form f = form_of(p[0]);
	size_t i;

	*whole = false;
	for (i = 1; i <= f.n_more; i++) {
		unsigned char low = i == 1 ? f.low : 0x80, high = i == 1 ? f.high : 0xBF;

		if (i >= len || p[i] < low || p[i] > high)
			return i;
	}
	*whole = f.n_more > 0;
	return i;
}

size_t
utf8_valid_len(const char *p, size_t len)
{
	size_t at = 0, n;
	uint64_t word;
	bool whole;

	while (at < len) {
		if (len - at >= sizeof(word)) {
			memcpy(&word, p + at, sizeof(word));
			if ((word & 0x8080808080808080) == 0) {
				at += sizeof(word);
				continue;
			}
		}
		if ((unsigned char)p[at] < 0x80) {
			at++;
			continue;
		}
		n = sequence_len((const unsigned char *)p + at, len - at, &whole);
		if (!whole)
			return at;
		at += n;
	}
	return at;
}

/*
 * The length of the maximal subpart of an ill-formed sequence that starts at p: what one U+FFFD
 * stands for. 1 to 3. Source: Unicode 15, 3.9 "U+FFFD Substitution of Maximal Subparts".
 */
static size_t
bad_len(const char *p, size_t len)
{
	bool whole;
	size_t n = sequence_len((const unsigned char *)p, len, &whole);

	assert(!whole);
	return n;
}

static int
put_piece(struct buf *b, utf8_put_fn put, const char *p, size_t len)
{
	return put != NULL ? put(b, p, len) : buf_put(b, p, len);
}

/*
 * Bytes that are not UTF-8 are replaced here, because each client would replace them in its own
 * way.
 */
int
utf8_put(struct buf *b, utf8_put_fn put, const char *p, size_t len, size_t *n_replaced)
{
	static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
	size_t good, bad;
	int rc;

	while ((good = utf8_valid_len(p, len)) < len) {
		bad = bad_len(p + good, len - good);
		if ((rc = put_piece(b, put, p, good)) < 0 ||
		    (rc = buf_put(b, replacement, sizeof(replacement) - 1)) < 0)
			return rc;
		p += good + bad;
		len -= good + bad;
		if (n_replaced != NULL)
			++*n_replaced;
	}
	return put_piece(b, put, p, len);
}
