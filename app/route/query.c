#include "route/query.h"

#include <errno.h>
#include <string.h>

#include "base/percent.h"
#include "sse/utf8.h"

bool
query_is_clean(const char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return false;
	}
	return utf8_valid_len(p, len) == len;
}

int
query_decode(char *out, const char *p, size_t len, char plus)
{
	int n = percent_decode(out, p, len, plus);

	return n >= 0 && query_is_clean(out, (size_t)n) ? n : -EINVAL;
}

/* One pair of len bytes, decoded to *to, which moves on behind it. */
static int
add_pair(struct query *q, const char *p, size_t len, char **to)
{
	const char *eq = memchr(p, '=', len), *name = *to;
	size_t name_len = eq != NULL ? (size_t)(eq - p) : len;
	int n;

	if (name_len == 0)
		return 0; /* "&&" and "=x" name nothing */
	if (q->n == QUERY_PAIRS_MAX)
		return -E2BIG;
	if ((n = query_decode(*to, p, name_len, ' ')) < 0)
		return n;
	*to += n + 1;
	if (query_get(q, name) != NULL)
		return -EINVAL; /* libraries disagree about which of two counts */
	q->pairs[q->n].name = name;
	q->pairs[q->n].value = *to;
	p += name_len + (eq != NULL);
	if ((n = query_decode(*to, p, len - name_len - (eq != NULL), ' ')) < 0)
		return n;
	*to += n + 1;
	q->n++;
	return 0;
}

/* "a=b" needs room for "a\0b\0", and a "=" or "&" less for the last pair without either. */
int
query_parse(struct query *q, const char *text)
{
	char *to = q->bytes;
	int rc;

	q->n = 0;
	if (strlen(text) > QUERY_LEN_MAX - 2)
		return -E2BIG;
	while (*text != '\0') {
		size_t len = strcspn(text, "&");

		/* A pair without "=" takes one byte more than it has. */
		if ((size_t)(q->bytes + sizeof(q->bytes) - to) < len + 2)
			return -E2BIG;
		if ((rc = add_pair(q, text, len, &to)) < 0)
			return rc;
		text += len + (text[len] == '&');
	}
	return 0;
}

const char *
query_get(const struct query *q, const char *name)
{
	size_t i;

	for (i = 0; i < q->n; i++) {
		if (strcmp(q->pairs[i].name, name) == 0)
			return q->pairs[i].value;
	}
	return NULL;
}
