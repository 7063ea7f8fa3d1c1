#include "auth/signed_link.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "auth/bytes.h"

#define SIGNATURE "signature="
#define EXPIRES   "expires="

enum { HEX_LEN = 64, DIGITS_MAX = 12 };

/* Where in the query a parameter's name begins that is written like this; NULL. */
static const char *
find_param(const char *query, const char *name)
{
	const char *p = query;

	while (p != NULL && *p != '\0') {
		if (strncmp(p, name, strlen(name)) == 0)
			return p;
		if ((p = strchr(p, '&')) != NULL)
			p++;
	}
	return NULL;
}

/* "&last_event_id=…" once, or nothing. */
static bool
may_follow(const char *p)
{
	if (*p == '\0')
		return true;
	return (strncmp(p, "&last_event_id=", 15) == 0 || strncmp(p, "&lastEventId=", 13) == 0) &&
	       strchr(p + 1, '&') == NULL;
}

static bool
read_time(const char *p, int64_t *out)
{
	size_t n = strspn(p, "0123456789");

	*out = 0;
	if (n == 0 || n > DIGITS_MAX || (p[n] != '&' && p[n] != '\0'))
		return false;
	for (; n > 0; p++, n--)
		*out = *out * 10 + (*p - '0');
	return true;
}

static int
sign(struct buf *b, const char *text, size_t len, const char *secret, size_t secret_len)
{
	unsigned char mac[BYTES_HMAC_MAX];
	size_t n = bytes_hmac(mac, 256, secret, secret_len, text, len);

	return n == 0 ? -ENOMEM : bytes_put_hex(b, mac, n);
}

static bool
is_signed(const char *uri, const char *signature, const char *secret, size_t secret_len)
{
	struct buf right;
	bool is_right;

	buf_init(&right, HEX_LEN);
	is_right = sign(&right, uri, (size_t)(signature - uri - 1), secret, secret_len) == 0 &&
		   strnlen(signature + strlen(SIGNATURE), HEX_LEN) == HEX_LEN &&
		   bytes_equal(right.p, right.len, signature + strlen(SIGNATURE), HEX_LEN);
	buf_fini(&right);
	return is_right;
}

int
signed_link_check(const char *uri, const char *secret, size_t secret_len, int64_t now,
		  int64_t *expires, const char **why)
{
	const char *query = strchr(uri, '?'), *signature, *time;

	if (query == NULL || (signature = find_param(query + 1, SIGNATURE)) == NULL)
		return -ENOENT;
	*why = "the signature is wrong";
	if (!is_signed(uri, signature, secret, secret_len))
		return -EINVAL;
	*why = "something follows the signature";
	if (!may_follow(signature + strlen(SIGNATURE) + HEX_LEN))
		return -EINVAL;
	*why = "it does not say when it expires";
	if ((time = find_param(query + 1, EXPIRES)) == NULL || time > signature ||
	    !read_time(time + strlen(EXPIRES), expires))
		return -EINVAL;
	*why = "it has expired";
	return now > *expires ? -EINVAL : 0;
}

int
signed_link_put(struct buf *b, const char *uri, const char *secret, size_t secret_len)
{
	int rc;

	if ((rc = buf_puts(b, uri)) < 0 || (rc = buf_puts(b, "&" SIGNATURE)) < 0)
		return rc;
	return sign(b, uri, strlen(uri), secret, secret_len);
}
