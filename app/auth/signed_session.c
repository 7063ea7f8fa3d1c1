/*
 * signed_session.c - sessions that stand whole in a signed cookie: Django's (signed_cookies) and
 * Flask's (itsdangerous). Both are PAYLOAD TIME SIGNATURE. The payload is JSON in base64url; if a
 * "." stands before it, it was compressed by zlib first.
 * Source: the documentation of django.core.signing and of itsdangerous.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "auth/bytes.h"
#include "auth/session_format.h"
#include "auth/session_json.h"

enum { DAY = 24 * 60 * 60, SKEW = 60, TIME_MAX = 12, MAC_TEXT_MAX = 64 };

#define DJANGO_SALT "django.contrib.sessions.backends.signed_cookies"
#define FLASK_SALT  "cookie-session"

/* How one of them signs. */
struct scheme {
	char separator;
	unsigned bits; /* of its hash */
	int64_t age;   /* the oldest cookie that the framework accepts by default, in seconds */
	/* Derives the key from the secret. Returns its length, 0 if the library cannot. */
	size_t (*derive)(unsigned char key[BYTES_HMAC_MAX], const struct session_secret *secret);
	/* The cookie's time in Unix seconds; -1: the text is no time. */
	int64_t (*time_of)(const char *text, size_t len);
	const char *no_form, *no_secret;
};

static size_t
derive_django(unsigned char key[BYTES_HMAC_MAX], const struct session_secret *secret)
{
	static const char salt[] = DJANGO_SALT "signer";
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned n = 0;

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestUpdate(md, salt, sizeof(salt) - 1) != 1 ||
	    EVP_DigestUpdate(md, secret->p, secret->len) != 1 ||
	    EVP_DigestFinal_ex(md, key, &n) != 1)
		n = 0;
	EVP_MD_CTX_free(md);
	return n;
}

static size_t
derive_flask(unsigned char key[BYTES_HMAC_MAX], const struct session_secret *secret)
{
	return bytes_hmac(key, 160, secret->p, secret->len, FLASK_SALT, sizeof(FLASK_SALT) - 1);
}

/* Base 62: digits, then capital letters, then small ones. */
static int64_t
time_of_django(const char *text, size_t len)
{
	static const char digits[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	int64_t n = 0;

	if (len == 0 || len > 8)
		return -1;
	for (size_t i = 0; i < len; i++) {
		const char *at = memchr(digits, text[i], sizeof(digits) - 1);

		if (at == NULL)
			return -1;
		n = n * 62 + (at - digits);
	}
	return n;
}

/* Big-endian bytes in base64url. */
static int64_t
time_of_flask(const char *text, size_t len)
{
	int64_t n = -1;
	struct buf b;

	buf_init(&b, TIME_MAX);
	if (len <= TIME_MAX && bytes_decode_base64url(&b, text, len) == 0 && b.len > 0 &&
	    b.len < sizeof(n)) {
		n = 0;
		for (size_t i = 0; i < b.len; i++)
			n = n << 8 | (unsigned char)b.p[i];
	}
	buf_fini(&b);
	return n;
}

static bool
is_by(const struct scheme *s, const struct session_secret *secret, const char *text, size_t len,
      const char *signature)
{
	unsigned char key[BYTES_HMAC_MAX], mac[BYTES_HMAC_MAX];
	size_t n = s->derive(key, secret);
	bool is_equal = false;
	struct buf b;

	buf_init(&b, MAC_TEXT_MAX);
	if (n > 0 && (n = bytes_hmac(mac, s->bits, key, n, text, len)) > 0 &&
	    bytes_put_base64url(&b, mac, n) == 0)
		is_equal = bytes_equal(b.p, b.len, signature, strlen(signature));
	buf_fini(&b);
	return is_equal;
}

static int
inflate_into(struct buf *out, const struct buf *packed, const char **why)
{
#ifdef HAVE_ZLIB
	unsigned char text[SESSION_PLAIN_MAX];
	uLongf len = sizeof(text);

	*why = "the cookie's session is not compressed by zlib, or is larger than 64 KiB";
	if (uncompress(text, &len, (const unsigned char *)packed->p, packed->len) != Z_OK)
		return -EINVAL;
	return buf_put(out, text, len);
#else
	(void)out;
	(void)packed;
	*why = "the cookie's session is compressed, and this Sluice is built without zlib";
	return -EINVAL;
#endif
}

static int
put_payload(struct buf *out, const char *text, size_t len, const char **why)
{
	struct buf bytes;
	int rc;

	*why = "the cookie's session is not base64url";
	if (len == 0 || *text != '.')
		return bytes_decode_base64url(out, text, len);
	buf_init(&bytes, SESSION_COOKIE_MAX);
	rc = bytes_decode_base64url(&bytes, text + 1, len - 1);
	if (rc == 0)
		rc = inflate_into(out, &bytes, why);
	buf_fini(&bytes);
	return rc;
}

/* The last place of the separator before the text's end, or NULL. */
static const char *
last_before(const char *text, const char *end, char c)
{
	while (end > text && *--end != c)
		;
	return end > text ? end : NULL;
}

static int
open_signed(const struct scheme *s, const struct session_secrets *secrets,
	    const struct session_cookie *cookie, struct buf *out, const char **why)
{
	const char *text = cookie->value, *mac = strrchr(text, s->separator);
	const char *stamp = mac != NULL ? last_before(text, mac, s->separator) : NULL;
	int64_t made;
	size_t i;

	*why = s->no_form;
	if (stamp == NULL)
		return -EINVAL;
	for (i = 0; i < secrets->n; i++) {
		if (is_by(s, &secrets->v[i], text, (size_t)(mac - text), mac + 1))
			break;
	}
	*why = s->no_secret;
	if (i == secrets->n)
		return -EINVAL;
	made = s->time_of(stamp + 1, (size_t)(mac - stamp - 1));
	*why = "the cookie's time is none, or has not come yet";
	if (made < 0 || made > cookie->now + SKEW)
		return -EINVAL;
	*why = "the cookie is older than the framework lets a session be";
	if (cookie->now - made > s->age)
		return -EINVAL;
	return put_payload(out, text, (size_t)(stamp - text), why);
}

static int
open_django(const struct session_secrets *secrets, const struct session_cookie *cookie,
	    struct buf *out, const char **why)
{
	static const struct scheme django = {
	    .separator = ':',
	    .bits = 256,
	    .age = (int64_t)14 * DAY,
	    .derive = derive_django,
	    .time_of = time_of_django,
	    .no_form = "the cookie is not SESSION:TIME:SIGNATURE, as Django signs it",
	    .no_secret = "the cookie's signature is not by the secret of session_secret_file",
	};

	return open_signed(&django, secrets, cookie, out, why);
}

static int
open_flask(const struct session_secrets *secrets, const struct session_cookie *cookie,
	   struct buf *out, const char **why)
{
	static const struct scheme flask = {
	    .separator = '.',
	    .bits = 160,
	    .age = (int64_t)31 * DAY,
	    .derive = derive_flask,
	    .time_of = time_of_flask,
	    .no_form = "the cookie is not SESSION.TIME.SIGNATURE, as Flask signs it",
	    .no_secret = "the cookie's signature is not by the secret of session_secret_file",
	};

	return open_signed(&flask, secrets, cookie, out, why);
}

const struct session_format session_format_django = {
    .name = "django",
    .open = open_django,
    .is_whole = true,
    .read = session_json_read,
    .unread = "the cookie's session is not JSON, Django's JSONSerializer",
    .cookie_max = SESSION_COOKIE_MAX,
};

const struct session_format session_format_flask = {
    .name = "flask",
    .open = open_flask,
    .is_whole = true,
    .read = session_json_read,
    .unread = "the cookie's session is not JSON, as Flask writes it",
    .cookie_max = SESSION_COOKIE_MAX,
};
