/*
 * laravel_session.c - Laravel's: the cookie is base64 of JSON, {"iv", "value", "mac", "tag"}, which
 * APP_KEY has encrypted, by AES-CBC with an HMAC of iv and value as they stand, or by AES-GCM with
 * a tag. In it are the HMAC of the cookie's name, "|" and the session's id. Redis keeps the session
 * as PHP serializes it, once more serialized as a text. Source: the documentation of Laravel's
 * encryption, cookies and sessions.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"
#include "auth/php_session.h"
#include "auth/session_format.h"
#include "auth/session_json.h"

enum {
	IV_CBC = 16,
	IV_GCM = 12,
	TAG = 16,
	KEY_MAX = 32,
	MAC_TEXT = 64,
	MARK = 20,
	MARK_TEXT = 2 * MARK,
	BLOCK = 16
};

static const char base64_mark[] = "base64:";

/*
 * A cookie, taken apart: what is encrypted, and what proves that it is the site's. The texts belong
 * to json.
 */
struct sealed {
	struct json_object *json;
	const char *iv_text, *value_text, *mac;
	struct buf iv, value, tag;
};

static void
sealed_fini(struct sealed *s)
{
	json_object_put(s->json);
	buf_fini(&s->iv);
	buf_fini(&s->value);
	buf_fini(&s->tag);
}

/* NULL: it is no text, or has a NUL in it. */
static const char *
member(const struct sealed *s, const char *name)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(s->json, name, &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value))
		return NULL;
	return json_object_get_string(value);
}

static int
take_members(struct sealed *s)
{
	const char *tag = member(s, "tag");
	int rc;

	s->iv_text = member(s, "iv");
	s->value_text = member(s, "value");
	s->mac = member(s, "mac");
	if (s->iv_text == NULL || s->value_text == NULL || s->mac == NULL || tag == NULL)
		return -EINVAL;
	if ((rc = bytes_decode_base64(&s->iv, s->iv_text, strlen(s->iv_text))) < 0 ||
	    (rc = bytes_decode_base64(&s->value, s->value_text, strlen(s->value_text))) < 0)
		return rc;
	return bytes_decode_base64(&s->tag, tag, strlen(tag));
}

static int
take_apart(struct sealed *s, const char *cookie)
{
	struct buf text;
	int rc;

	*s = (struct sealed){0};
	buf_init(&s->iv, IV_CBC);
	buf_init(&s->value, SESSION_COOKIE_MAX);
	buf_init(&s->tag, TAG);
	buf_init(&text, SESSION_COOKIE_MAX);
	if ((rc = bytes_decode_base64(&text, cookie, strlen(cookie))) == 0 &&
	    (rc = buf_putc(&text, '\0')) == 0) {
		s->json = session_json_read(text.p, text.len - 1);
		rc = json_object_is_type(s->json, json_type_object) ? take_members(s) : -EINVAL;
	}
	buf_fini(&text);
	return rc == -EMSGSIZE ? -EINVAL : rc;
}

/* The bytes of APP_KEY: how many; 0: it is no key of AES-128 or AES-256. */
static size_t
key_of(const struct session_secret *secret, unsigned char key[KEY_MAX])
{
	size_t len = strlen(base64_mark), n = 0;
	struct buf b;

	buf_init(&b, KEY_MAX);
	if (secret->len > len && memcmp(secret->p, base64_mark, len) == 0) {
		if (bytes_decode_base64(&b, secret->p + len, secret->len - len) == 0)
			n = b.len;
	} else if (buf_put(&b, secret->p, secret->len) == 0) {
		n = b.len;
	}
	n = n == 16 || n == 32 ? n : 0;
	if (n > 0)
		memcpy(key, b.p, n);
	if (b.len > 0)
		OPENSSL_cleanse(b.p, b.len);
	buf_fini(&b);
	return n;
}

static bool
is_by(const struct sealed *s, const unsigned char *key, size_t key_len)
{
	unsigned char mac[BYTES_HMAC_MAX];
	bool is_equal = false;
	struct buf text, hex;

	buf_init(&text, (size_t)2 * SESSION_COOKIE_MAX);
	buf_init(&hex, MAC_TEXT);
	if (buf_put(&text, s->iv_text, strlen(s->iv_text)) == 0 &&
	    buf_put(&text, s->value_text, strlen(s->value_text)) == 0 &&
	    bytes_hmac(mac, 256, key, key_len, text.p, text.len) > 0 &&
	    bytes_put_hex(&hex, mac, MAC_TEXT / 2) == 0)
		is_equal = bytes_equal(hex.p, hex.len, s->mac, strlen(s->mac));
	buf_fini(&text);
	buf_fini(&hex);
	return is_equal;
}

static const EVP_CIPHER *
cipher_of(size_t key_len, bool is_gcm)
{
	if (is_gcm)
		return key_len == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	return key_len == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
}

/* out has room for the value's length and a block. How many bytes it was; -1: it is not by this
 * key. */
static int
decrypt(struct sealed *s, const EVP_CIPHER *cipher, bool is_gcm, const unsigned char *key,
	unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0, rest = 0;
	bool is_good =
	    ctx != NULL &&
	    EVP_DecryptInit_ex(ctx, cipher, NULL, key, (const unsigned char *)s->iv.p) == 1 &&
	    EVP_DecryptUpdate(ctx, out, &len, (const unsigned char *)s->value.p,
			      (int)s->value.len) == 1 &&
	    (!is_gcm || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG, s->tag.p) == 1) &&
	    EVP_DecryptFinal_ex(ctx, out + len, &rest) == 1;

	EVP_CIPHER_CTX_free(ctx);
	return is_good ? len + rest : -1;
}

/* Returns how many bytes were encrypted; -1: it was not encrypted with this secret. */
static int
open_by(struct sealed *s, const unsigned char *key, size_t key_len, unsigned char *out)
{
	bool is_gcm = s->tag.len > 0;

	if (is_gcm ? *s->mac != '\0' || s->tag.len != TAG || s->iv.len != IV_GCM
		   : s->iv.len != IV_CBC || !is_by(s, key, key_len))
		return -1;
	return decrypt(s, cipher_of(key_len, is_gcm), is_gcm, key, out);
}

/* Each cookie begins with a mark of its own name, so that none can be handed in for another. */
static bool
is_marked(const char *text, size_t len, const char *name, const unsigned char *key, size_t key_len)
{
	unsigned char mac[BYTES_HMAC_MAX];
	bool is_equal = false;
	struct buf of, hex;

	buf_init(&of, SESSION_COOKIE_MAX);
	buf_init(&hex, MARK_TEXT);
	if (len > MARK_TEXT && text[MARK_TEXT] == '|' && buf_put(&of, name, strlen(name)) == 0 &&
	    buf_put(&of, "v2", 2) == 0 && bytes_hmac(mac, 160, key, key_len, of.p, of.len) > 0 &&
	    bytes_put_hex(&hex, mac, MARK) == 0)
		is_equal = bytes_equal(hex.p, hex.len, text, MARK_TEXT);
	buf_fini(&of);
	buf_fini(&hex);
	return is_equal;
}

/* 1: the session's id was put; 0: it is not by this secret. */
static int
try_secret(struct sealed *s, const struct session_secret *secret, const char *name, struct buf *id,
	   const char **why)
{
	unsigned char key[KEY_MAX], text[SESSION_COOKIE_MAX + BLOCK];
	size_t key_len = key_of(secret, key);
	int len = key_len > 0 ? open_by(s, key, key_len, text) : -1, rc = 0;

	if (len >= 0) {
		*why = "the cookie is another one's, or not as Laravel's middleware EncryptCookies "
		       "writes it";
		rc = -EINVAL;
		if (is_marked((const char *)text, (size_t)len, name, key, key_len))
			rc = buf_put(id, text + MARK_TEXT + 1, (size_t)len - MARK_TEXT - 1);
		rc = rc == 0 ? 1 : rc;
	}
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}

static int
open_cookie(const struct session_secrets *secrets, const struct session_cookie *cookie,
	    struct buf *id, const char **why)
{
	struct sealed s;
	int rc = take_apart(&s, cookie->value);

	*why = "the cookie is not encrypted as Laravel does it";
	if (rc == 0) {
		*why = "the cookie is not by the APP_KEY of session_secret_file";
		for (size_t i = 0; i < secrets->n && rc == 0; i++)
			rc = try_secret(&s, &secrets->v[i], cookie->name, id, why);
		rc = rc > 0 ? 0 : rc == 0 ? -EINVAL : rc;
	}
	sealed_fini(&s);
	return rc;
}

static const char *
secret_fault(const struct session_secret *secret)
{
	unsigned char key[KEY_MAX];
	size_t n = key_of(secret, key);

	OPENSSL_cleanse(key, sizeof(key));
	return n > 0 ? NULL
		     : "a line is no APP_KEY: base64: and 32 bytes in base64, as `php artisan "
		       "key:generate` makes it";
}

/* s:LEN:"TEXT"; as the cache stores it: the text. What stands bare is taken, too. */
static struct json_object *
read_serialized(const char *text, size_t len)
{
	struct json_object *session;
	const char *inside = text;
	char *stop, *copy;
	size_t n = len;

	if (len > 4 && memcmp(text, "s:", 2) == 0 && text[2] >= '0' && text[2] <= '9') {
		n = strtoul(text + 2, &stop, 10);
		inside = stop + 2;
		if (stop[0] != ':' || stop[1] != '"' || n > len ||
		    (size_t)(inside - text) + n + 2 != len || memcmp(inside + n, "\";", 2) != 0)
			return NULL;
	}
	if (n > 2 && memcmp(inside, "a:", 2) == 0)
		return php_session_parse(inside, n);
	/* If the site says session.serialization = json, the text inside is JSON. */
	if ((copy = strndup(inside, n)) == NULL)
		return NULL;
	session = strlen(copy) == n ? session_json_read(copy, n) : NULL;
	free(copy);
	return session;
}

const struct session_format session_format_laravel = {
    .name = "laravel",
    .open = open_cookie,
    .secret_fault = secret_fault,
    .read = read_serialized,
    .unread = "the session is not as Laravel's driver redis stores it, without session.encrypt",
    .cookie_max = 1024,
};
