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

/* What stands before, and behind, the first "=" of one pair. */
struct query_pair {
	const char *name, *value;
	size_t name_len, value_len;
};

/* The next pair from *text on, which moves on behind it. false: there is none. */
static bool
next_pair(struct query_pair *pair, const char **text)
{
	size_t len = strcspn(*text, "&"), name_len = strcspn(*text, "&=");

	if (**text == '\0')
		return false;
	pair->name = *text;
	pair->name_len = name_len;
	pair->value = *text + name_len + (name_len < len);
	pair->value_len = len - name_len - (name_len < len);
	*text += len + ((*text)[len] == '&');
	return true;
}

/*
 * Decodes the name. One that is too long or malformed is no parameter's name; "&&" and "=x" have
 * none.
 */
static bool
decode_name(char name[QUERY_NAME_MAX + 1], const struct query_pair *pair)
{
	return pair->name_len > 0 && pair->name_len <= QUERY_NAME_MAX &&
	       query_decode(name, pair->name, pair->name_len, ' ') > 0;
}

static size_t
find(const struct query *q, const char *name)
{
	size_t i;

	for (i = 0; i < q->n && strcmp(q->pairs[i].name, name) != 0; i++)
		;
	return i;
}

static int
add_pair(struct query *q, const char *name, const struct query_pair *pair)
{
	size_t len = strlen(name) + 1, i = find(q, name);
	char *to = q->bytes + q->used;
	int n;

	if (i < q->n) {
		q->pairs[i].value = NULL;
		return -EINVAL; /* libraries disagree about which of two counts */
	}
	if (q->n == QUERY_PAIRS_MAX || sizeof(q->bytes) - q->used < len + pair->value_len + 1)
		return -E2BIG;
	if ((n = query_decode(to + len, pair->value, pair->value_len, ' ')) < 0)
		return n;
	memcpy(to, name, len);
	q->pairs[q->n].name = to;
	q->pairs[q->n++].value = to + len;
	q->used += len + (size_t)n + 1;
	return 0;
}

/* Adds the named parameters if wanted is true, else the others. */
static int
add_pairs(struct query *q, const char *text, query_name_fn is_named, const void *ctx, bool wanted)
{
	char name[QUERY_NAME_MAX + 1];
	struct query_pair pair;
	int rc;

	while (next_pair(&pair, &text)) {
		if (!decode_name(name, &pair) || is_named(ctx, name) != wanted)
			continue;
		if ((rc = add_pair(q, name, &pair)) < 0 && wanted)
			return rc;
	}
	return 0;
}

/* The parameters that count come first, so only others can find no room. */
int
query_parse(struct query *q, const char *text, query_name_fn is_named, const void *ctx)
{
	int rc;

	q->n = q->used = 0;
	if ((rc = add_pairs(q, text, is_named, ctx, true)) < 0)
		return rc;
	return add_pairs(q, text, is_named, ctx, false);
}

bool
query_find_last(const char *text, query_name_fn is_named, const void *ctx, const char **value,
		size_t *len)
{
	char name[QUERY_NAME_MAX + 1];
	struct query_pair pair;

	*value = NULL;
	while (next_pair(&pair, &text)) {
		if (pair.value_len == 0 || !decode_name(name, &pair) || !is_named(ctx, name))
			continue;
		*value = pair.value;
		*len = pair.value_len;
	}
	return *value != NULL;
}

const char *
query_get(const struct query *q, const char *name)
{
	size_t i = find(q, name);

	return i < q->n ? q->pairs[i].value : NULL;
}
