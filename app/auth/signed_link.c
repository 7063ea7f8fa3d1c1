#include "auth/signed_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"
#include "base/percent.h"

#define SIGNATURE "signature="

enum { HEX_LEN = 64, SECONDS_DIGITS = 12, USER_MAX = 1024 };

/* The part of the query that is signed. */
struct signed_part {
	const char *query, *end;
};

/*
 * Where in the query the value of the parameter begins whose name is written in this way; NULL:
 * nowhere.
 */
static const char *
find_param(const char *query, const char *end, const char *name)
{
	size_t len = strlen(name);
	const char *p = query;

	while (p != NULL && p < end) {
		if ((size_t)(end - p) >= len && memcmp(p, name, len) == 0)
			return p + len;
		if ((p = memchr(p, '&', (size_t)(end - p))) != NULL)
			p++;
	}
	return NULL;
}

/* The value's length; 0 as well if there is none. */
static size_t
get(const struct signed_part *part, const char *name, const char **value)
{
	if ((*value = find_param(part->query, part->end, name)) == NULL)
		return 0;
	return strcspn(*value, "&");
}

static bool
stands_twice(const struct signed_part *part, const char *name)
{
	const char *first = find_param(part->query, part->end, name);
	const char *next = first != NULL ? memchr(first, '&', (size_t)(part->end - first)) : NULL;

	return next != NULL && find_param(next + 1, part->end, name) != NULL;
}

static bool
has_doubt(const struct signed_part *part)
{
	return stands_twice(part, "expires=") || stands_twice(part, "user=") ||
	       stands_twice(part, "may=");
}

static int
check_time(const struct signed_part *part, int64_t now, int64_t *expires, const char **why)
{
	const char *p;
	size_t n = get(part, "expires=", &p);

	*why = "it does not say when it expires";
	if (n == 0)
		return -EINVAL;
	*why = "its expires is no time in Unix seconds";
	if (strspn(p, "0123456789") != n)
		return -EINVAL;
	if (n > SECONDS_DIGITS) {
		*why = "its expires is no time in Unix seconds: are these milliseconds?";
		return -EINVAL;
	}
	for (*expires = 0; n > 0; p++, n--)
		*expires = *expires * 10 + (*p - '0');
	*why = "it has expired";
	return now > *expires ? -EINVAL : 0;
}

static int
read_user(const struct signed_part *part, char **user, const char **why)
{
	char text[USER_MAX + 1];
	const char *p;
	size_t len = get(part, "user=", &p);
	int n;

	if (p == NULL)
		return 0;
	*why = "its user is malformed or too long";
	if (len > USER_MAX || (n = percent_decode(text, p, len, ' ')) < 0 ||
	    strlen(text) != (size_t)n)
		return -EINVAL;
	return (*user = strdup(text)) != NULL ? 0 : -ENOMEM;
}

static int
read_right(const struct signed_part *part, bool *may_publish, const char **why)
{
	const char *p;
	size_t len = get(part, "may=", &p);

	*why = "it may what nobody knows: only may=publish is a right";
	if (p == NULL)
		return 0;
	*may_publish = len == 7 && memcmp(p, "publish", len) == 0;
	return *may_publish ? 0 : -EINVAL;
}

static int
sign(struct buf *b, const char *text, size_t len, const struct auth_key *key)
{
	unsigned char mac[BYTES_HMAC_MAX];
	size_t secret_len, n;
	const char *secret = auth_key_secret(key, &secret_len);

	n = bytes_hmac(mac, 256, secret, secret_len, text, len);
	return n == 0 ? -ENOMEM : bytes_put_hex(b, mac, n);
}

static bool
is_signed_by(const char *uri, const char *signature, const struct auth_key *key)
{
	struct buf right;
	bool is_right;

	buf_init(&right, HEX_LEN);
	is_right = sign(&right, uri, (size_t)(signature - uri) - strlen("&" SIGNATURE), key) == 0 &&
		   strnlen(signature, HEX_LEN) == HEX_LEN &&
		   bytes_equal(right.p, right.len, signature, HEX_LEN);
	buf_fini(&right);
	return is_right;
}

static bool
is_signed(const char *uri, const char *signature, const struct auth_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (is_signed_by(uri, signature, keys->v[i]))
			return true;
	}
	return false;
}

int
signed_link_check(struct signed_link *link, const char *uri, const struct auth_keys *keys,
		  int64_t now, const char **why)
{
	const char *query = strchr(uri, '?'), *signature;
	struct signed_part part;
	int rc;

	memset(link, 0, sizeof(*link));
	if (query == NULL ||
	    (signature = find_param(query + 1, uri + strlen(uri), SIGNATURE)) == NULL)
		return -ENOENT;
	*why = "the signature is wrong";
	if (!is_signed(uri, signature, keys))
		return -EINVAL;
	*why = "something follows the signature";
	link->behind = signature + HEX_LEN;
	if (*link->behind != '\0' && *link->behind != '&')
		return -EINVAL;
	part = (struct signed_part){query + 1, signature - strlen("&" SIGNATURE)};
	*why = "its expires, user or may stands twice";
	if (has_doubt(&part))
		return -EINVAL;
	if ((rc = check_time(&part, now, &link->expires, why)) < 0 ||
	    (rc = read_right(&part, &link->may_publish, why)) < 0)
		return rc;
	return read_user(&part, &link->user, why);
}

void
signed_link_fini(struct signed_link *link)
{
	free(link->user);
	link->user = NULL;
}

int
signed_link_put(struct buf *b, const char *uri, const struct auth_keys *keys)
{
	int rc;

	if ((rc = buf_puts(b, uri)) < 0 || (rc = buf_puts(b, "&" SIGNATURE)) < 0)
		return rc;
	return sign(b, uri, strlen(uri), keys->v[0]);
}
