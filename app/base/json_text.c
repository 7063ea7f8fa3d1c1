#include "base/json_text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct json_scan {
	const char *p, *end;
	unsigned depth;
	uint64_t is_object; /* the innermost in bit 0 */
	bool has_wide;
	enum json_flaw flaw;
	struct buf *out;    /* of json_text_widen(), or NULL */
	const char *copied; /* the text is in out up to here */
	int rc;
};

static void
skip_space(struct json_scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool
take(struct json_scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t
take_digits(struct json_scan *s)
{
	const char *start = s->p;

	while (s->p < s->end && is_digit(*s->p))
		s->p++;
	return (size_t)(s->p - start);
}

static bool
take_word(struct json_scan *s, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0)
		return false;
	s->p += len;
	return true;
}

static bool
take_hex4(struct json_scan *s)
{
	int i;

	for (i = 0; i < 4; i++, s->p++) {
		if (s->p == s->end || strchr("0123456789abcdefABCDEF", *s->p) == NULL ||
		    *s->p == '\0')
			return false;
	}
	return true;
}

static bool
take_string(struct json_scan *s)
{
	if (!take(s, '"'))
		return false;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p++;

		if (c == '"')
			return true;
		if (c < 0x20) {
			s->p--;
			return false;
		}
		if (c != '\\')
			continue;
		if (s->p == s->end)
			return false;
		c = (unsigned char)*s->p++;
		if (c == 'u' ? !take_hex4(s) : c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
			return false;
	}
	return false;
}

/* Digits without leading zeros, of an integer. */
static bool
is_beyond_64_bits(const char *digits, size_t n, bool is_negative)
{
	const char *limit = is_negative ? "9223372036854775808" : "18446744073709551615";
	size_t limit_len = strlen(limit);

	return n > limit_len || (n == limit_len && memcmp(digits, limit, n) > 0);
}

static void
found_wide(struct json_scan *s)
{
	s->has_wide = true;
	if (s->out == NULL || s->rc < 0)
		return;
	if ((s->rc = buf_put(s->out, s->copied, (size_t)(s->p - s->copied))) == 0)
		s->rc = buf_puts(s->out, "e0");
	s->copied = s->p;
}

static bool
take_number(struct json_scan *s)
{
	bool is_negative = take(s, '-'), is_integer = true;
	const char *digits = s->p;
	size_t n = take_digits(s);

	if (n == 0 || (n > 1 && *digits == '0'))
		return false;
	if (take(s, '.')) {
		is_integer = false;
		if (take_digits(s) == 0)
			return false;
	}
	if (take(s, 'e') || take(s, 'E')) {
		is_integer = false;
		if (!take(s, '+'))
			take(s, '-');
		if (take_digits(s) == 0)
			return false;
	}
	if (is_integer && is_beyond_64_bits(digits, n, is_negative))
		found_wide(s);
	return true;
}

static bool
take_scalar(struct json_scan *s)
{
	if (s->p == s->end)
		return false;
	switch (*s->p) {
	case '"':
		return take_string(s);
	case 't':
		return take_word(s, "true");
	case 'f':
		return take_word(s, "false");
	case 'n':
		return take_word(s, "null");
	default:
		return take_number(s);
	}
}

/* json-c would end a name at its NUL, and what goes out would not be what came in. */
static bool
has_nul(const char *name, size_t len)
{
	return memmem(name, len, "\\u0000", 6) != NULL;
}

static bool
take_key(struct json_scan *s)
{
	const char *name;

	skip_space(s);
	name = s->p;
	if (!take_string(s))
		return false;
	if (has_nul(name, (size_t)(s->p - name))) {
		s->flaw = JSON_NUL_NAME;
		return false;
	}
	skip_space(s);
	return take(s, ':');
}

/*
 * Reads the beginning of a value. *is_whole: the value is complete, because it is a scalar or an
 * empty container; else its first member comes next.
 */
static bool
open_value(struct json_scan *s, bool *is_whole)
{
	bool is_object;

	skip_space(s);
	*is_whole = true;
	if (s->p == s->end || (*s->p != '{' && *s->p != '['))
		return take_scalar(s);
	is_object = *s->p++ == '{';
	skip_space(s);
	if (s->depth == JSON_DEPTH_MAX) {
		s->flaw = JSON_TOO_DEEP;
		return false;
	}
	if (take(s, is_object ? '}' : ']'))
		return true;
	s->depth++;
	s->is_object = s->is_object << 1 | is_object;
	*is_whole = false;
	return !is_object || take_key(s);
}

/*
 * Called behind a whole value. Reads what comes: the ends of any number of containers, or a comma.
 */
static bool
close_values(struct json_scan *s)
{
	for (;;) {
		skip_space(s);
		if (s->depth == 0)
			return true;
		if (take(s, ','))
			return (s->is_object & 1) == 0 || take_key(s);
		if (!take(s, (s->is_object & 1) != 0 ? '}' : ']'))
			return false;
		s->is_object >>= 1;
		s->depth--;
	}
}

/*
 * This is a loop and not a recursion: the text says how deep it is nested, and the stack is
 * limited.
 */
static bool
scan(struct json_scan *s)
{
	bool is_whole;

	do {
		if (!open_value(s, &is_whole) || (is_whole && !close_values(s)))
			return false;
	} while (s->depth > 0);
	return s->p == s->end;
}

enum json_flaw
json_text_flaw(const char *p, size_t len, size_t *at)
{
	struct json_scan s = {.p = p, .end = len > 0 ? p + len : p};
	bool is_json = scan(&s);

	if (at != NULL)
		*at = (size_t)(s.p - p);
	if (is_json)
		return json_text_has_lone_surrogate(p, len) ? JSON_LONE_SURROGATE : JSON_FINE;
	return s.flaw != JSON_FINE ? s.flaw : JSON_BROKEN;
}

bool
json_text_check(const char *p, size_t len, bool *has_wide)
{
	struct json_scan s = {.p = p, .end = len > 0 ? p + len : p};
	bool is_json = scan(&s);

	if (has_wide != NULL)
		*has_wide = s.has_wide;
	return is_json;
}

int
json_text_widen(const char *p, size_t len, struct buf *out)
{
	struct json_scan s = {.p = p, .end = p + len, .out = out, .copied = p};

	(void)scan(&s);
	return s.rc < 0 ? s.rc : buf_put(out, s.copied, (size_t)(p + len - s.copied));
}

bool
json_text_is_wide(const char *p, size_t len)
{
	struct json_scan s = {.p = p, .end = p + len};

	if (len < 3 || memcmp(p + len - 2, "e0", 2) != 0)
		return false;
	s.end -= 2;
	return take_number(&s) && s.p == s.end && s.has_wide;
}

/* A payload may consist of such bytes alone, so an escape must cost no more than a copy. */
static int
put_escape(struct buf *b, unsigned char c)
{
	static const char bytes[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
	static const char digits[] = "0123456789abcdef";
	const char *at = c != '\0' ? strchr(bytes, c) : NULL;
	char text[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 0xF]};

	if (at == NULL)
		return buf_put(b, text, sizeof(text));
	text[1] = letters[at - bytes];
	return buf_put(b, text, 2);
}

int
json_put_escaped(struct buf *b, const char *p, size_t len)
{
	const char *end = len > 0 ? p + len : p, *plain = p;
	size_t before = b->len;
	int rc = 0;

	for (; p < end && rc == 0; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		if ((rc = buf_put(b, plain, (size_t)(p - plain))) < 0)
			break;
		rc = put_escape(b, c);
		plain = p + 1;
	}
	if (rc < 0 || (rc = buf_put(b, plain, (size_t)(end - plain))) < 0)
		buf_truncate(b, before);
	return rc;
}

int
json_put_string(struct buf *b, const char *p, size_t len)
{
	size_t before = b->len;
	int rc;

	if ((rc = buf_putc(b, '"')) < 0 || (rc = json_put_escaped(b, p, len)) < 0 ||
	    (rc = buf_putc(b, '"')) < 0)
		buf_truncate(b, before);
	return rc;
}

/*
 * Reads the four digits of an escape at p. Returns 0xD800 for a first half of a pair, 0xDC00 for a
 * second one, else 0.
 */
static unsigned
half_of(const char *p)
{
	if (p[0] != 'd' && p[0] != 'D')
		return 0;
	return strchr("89abAB", p[1]) != NULL     ? 0xD800
	       : strchr("cdefCDEF", p[1]) != NULL ? 0xDC00
						  : 0;
}

bool
json_text_has_lone_surrogate(const char *p, size_t len)
{
	const char *end = p + len;

	for (; p < end && (p = memchr(p, '\\', (size_t)(end - p))) != NULL; p += 2) {
		if (end - p < 6 || p[1] != 'u' || half_of(p + 2) == 0)
			continue;
		if (half_of(p + 2) != 0xD800 || end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
		    half_of(p + 8) != 0xDC00)
			return true;
		p += 10; /* with the two of the loop: behind both */
	}
	return false;
}

size_t
json_text_count_names(const char *p, size_t len)
{
	bool in_string = false;
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (in_string && p[i] == '\\')
			i++;
		else if (p[i] == '"')
			in_string = !in_string;
		else if (p[i] == ':')
			n += !in_string;
	}
	return n;
}
