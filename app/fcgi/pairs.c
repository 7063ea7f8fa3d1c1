#include "fcgi/pairs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <sluice/http.h>

/* A power of two, greater than PAIRS_MAX, so that a slot is always empty. */
enum { N_SLOTS = 1024 };

/* The names so far. A slot is 0, or the pair's index plus one. Only the slots are cleared. */
struct names {
	uint16_t slots[N_SLOTS];
	uint16_t n;
	struct pair pairs[PAIRS_MAX];
};

/* A length has one byte up to 127, else four with the top bit set. */
static int
take_length(size_t *out, const char **at, const char *end)
{
	const unsigned char *p = (const unsigned char *)*at;

	if (*at == end)
		return -EPROTO;
	if (p[0] < 0x80) {
		*out = p[0];
		*at += 1;
		return 0;
	}
	if (end - *at < 4)
		return -EPROTO;
	*out = (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	*at += 4;
	return 0;
}

int
pairs_next(struct pair *out, const char **at, const char *end)
{
	size_t left;

	if (*at == end)
		return 0;
	if (take_length(&out->name_len, at, end) < 0 || take_length(&out->value_len, at, end) < 0)
		return -EPROTO;
	left = (size_t)(end - *at);
	if (out->name_len > left || out->value_len > left - out->name_len)
		return -EPROTO;
	out->name = *at;
	out->value = out->name + out->name_len;
	*at = out->value + out->value_len;
	return 1;
}

static int
put_length(struct buf *b, size_t len)
{
	unsigned char four[4] = {(unsigned char)(len >> 24 | 0x80), (unsigned char)(len >> 16),
				 (unsigned char)(len >> 8), (unsigned char)len};

	if (len > INT32_MAX)
		return -EMSGSIZE;
	return len < 0x80 ? buf_putc(b, (char)len) : buf_put(b, four, sizeof(four));
}

int
pairs_put(struct buf *b, const char *name, size_t name_len, const char *value, size_t value_len)
{
	size_t before = b->len;
	int rc;

	if ((rc = put_length(b, name_len)) < 0 || (rc = put_length(b, value_len)) < 0 ||
	    (rc = buf_put(b, name, name_len)) < 0 || (rc = buf_put(b, value, value_len)) < 0)
		buf_truncate(b, before);
	return rc;
}

/*
 * A name is printable ASCII without '=', so that "NAME=value" is split at the right place. Returns
 * whether it is one, and its hash in *out.
 */
static bool
hash_name(const struct pair *pr, uint32_t *out)
{
	uint32_t h = 2166136261u; /* FNV-1a: there are at most PAIRS_MAX names, so collisions on
				     purpose gain little */
	size_t i;

	for (i = 0; i < pr->name_len; i++) {
		if (pr->name[i] <= ' ' || pr->name[i] > '~' || pr->name[i] == '=')
			return false;
		h = (h ^ (unsigned char)pr->name[i]) * 16777619u;
	}
	*out = h;
	return pr->name_len > 0;
}

/* Remembers the name. false: it is none, or is there already. */
static bool
add_name(struct names *names, const struct pair *pr)
{
	const struct pair *there;
	uint32_t i;

	if (!hash_name(pr, &i))
		return false;
	i &= N_SLOTS - 1;
	for (; names->slots[i] != 0; i = (i + 1) & (N_SLOTS - 1)) {
		there = &names->pairs[names->slots[i] - 1];
		if (there->name_len == pr->name_len &&
		    memcmp(there->name, pr->name, pr->name_len) == 0)
			return false;
	}
	names->pairs[names->n++] = *pr;
	names->slots[i] = names->n;
	return true;
}

/*
 * Digits only (RFC 9110, 8.6), any number of them: a number that does not fit is over every limit.
 */
static int
parse_content_length(const struct pair *pr, size_t max, size_t *out)
{
	size_t i, n = 0;
	bool is_over = false;

	for (i = 0; i < pr->value_len; i++) {
		if (pr->value[i] < '0' || pr->value[i] > '9')
			return HTTP_BAD_REQUEST;
		if (!is_over)
			n = n * 10 + (size_t)(pr->value[i] - '0');
		is_over = is_over || n > max;
	}
	if (is_over)
		return HTTP_CONTENT_TOO_LARGE;
	*out = n;
	return 0;
}

static bool
is_content_length(const struct pair *pr)
{
	static const char name[] = "CONTENT_LENGTH";

	return pr->name_len == sizeof(name) - 1 && memcmp(pr->name, name, sizeof(name) - 1) == 0;
}

/* The worse of two faults: broken is worse than too much. */
static int
worse_of(int a, int b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

int
pairs_check(const char *p, size_t len, size_t body_max, size_t *content_length)
{
	struct names names;
	struct pair pr;
	const char *at = p, *end = len > 0 ? p + len : p; /* p is NULL if there are none */
	int n = 0, rc, status = 0;

	*content_length = 0;
	memset(names.slots, 0, sizeof(names.slots));
	names.n = 0;
	while ((rc = pairs_next(&pr, &at, end)) > 0) {
		if (++n > PAIRS_MAX || pr.name_len > PAIRS_NAME_MAX)
			status = worse_of(status, HTTP_HEAD_TOO_LARGE);
		else if (memchr(pr.value, '\0', pr.value_len) != NULL || !add_name(&names, &pr))
			status = worse_of(status, HTTP_BAD_REQUEST);
		else if (is_content_length(&pr))
			status =
			    worse_of(status, parse_content_length(&pr, body_max, content_length));
	}
	return rc < 0 ? rc : status;
}
