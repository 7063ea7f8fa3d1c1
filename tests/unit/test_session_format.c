/*
 * How sites write their sessions: cookies made here by the frameworks' documented algorithms, and
 * the false neighbours of each, which let nobody in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "auth/session_format.h"

#define NOW    ((int64_t)1790000000)
#define SECRET "a secret of the site's own"
#define OLD    "the one before that secret"

static struct session_secrets secrets, *used = &secrets;

static int
set_up(void **state)
{
	static const char lines[] = SECRET "\r\n\n" OLD "\n";
	const char *why;

	(void)state;
	return session_secrets_add(&secrets, lines, sizeof(lines) - 1, &why);
}

static int
tear_down(void **state)
{
	(void)state;
	session_secrets_fini(&secrets);
	return 0;
}

/* What the cookie comes to: the name, or the reason. */
static void
expect(const struct session_format *format, const char *cookie, const char *wanted)
{
	const char *why = "";
	struct buf name;
	int rc;

	buf_init(&name, SESSION_PLAIN_MAX);
	rc = format->open(used, &(struct session_cookie){"sid", cookie, NOW}, &name, &why);
	assert_true(rc == 0 || rc == -EINVAL);
	assert_int_equal(buf_putc(&name, '\0'), 0);
	if (rc == 0 ? strcmp(name.p, wanted) != 0 : strstr(why, wanted) == NULL || *wanted == '\0')
		fail_msg("%s: %s", cookie, rc == 0 ? name.p : why);
	buf_fini(&name);
}

/* Every other byte in any place of the cookie: none lets in. */
static void
expect_every_byte_counts(const struct session_format *format, const char *cookie)
{
	char *changed = strdup(cookie);
	const char *why;
	struct buf name;

	for (size_t i = 0; i < strlen(cookie); i++) {
		for (const char *c = "aZ0-_.:=+"; *c != '\0'; c++) {
			if (cookie[i] == *c)
				continue;
			changed[i] = *c;
			buf_init(&name, SESSION_PLAIN_MAX);
			if (format->open(used, &(struct session_cookie){"sid", changed, NOW}, &name,
					 &why) == 0)
				fail_msg("%s is taken", changed);
			buf_fini(&name);
		}
		changed[i] = cookie[i];
	}
	free(changed);
}

/* Secrets */

static void
secrets_of_a_file(void **state)
{
	static const struct {
		const char *text, *why; /* NULL: all is well */
	} cases[] = {
	    {SECRET, NULL},
	    {SECRET "\n\n" OLD "\r\n", NULL},
	    {"", "empty"},
	    {"\n\r\n", "empty"},
	    {"\xef\xbb\xbf" SECRET, "byte order mark"},
	    {"fifteen bytes..", "guessed"},
	    {"sixteen bytes...", NULL},
	    {SECRET "\nshort", "guessed"},
	    {SECRET " \n", "blank"},
	    {"\t" SECRET, "blank"},
	};
	struct session_secrets some = {0};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = session_secrets_add(&some, cases[i].text, strlen(cases[i].text), &why);

		assert_int_equal(rc, cases[i].why == NULL ? 0 : -EINVAL);
		if (cases[i].why != NULL && strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, why);
		session_secrets_fini(&some);
	}
	assert_int_equal(session_secrets_add(&some, SECRET "\0x", sizeof(SECRET "\0x"), &why),
			 -EINVAL);
	session_secrets_fini(&some);
	assert_int_equal(secrets.n, 2);
	assert_int_equal(secrets.v[0].len, strlen(SECRET));
	assert_memory_equal(secrets.v[0].p, SECRET, strlen(SECRET));
}

static void
too_many_secrets(void **state)
{
	struct session_secrets some = {0};
	const char *why;
	int rc = 0;

	(void)state;
	for (size_t i = 0; i < SESSION_SECRETS_MAX && rc == 0; i++)
		rc = session_secrets_add(&some, SECRET, strlen(SECRET), &why);
	assert_int_equal(rc, 0);
	assert_int_equal(session_secrets_add(&some, SECRET, strlen(SECRET), &why), -EINVAL);
	assert_string_equal(why, "there are more than 8 lines");
	session_secrets_fini(&some);
}

/* Express */

/* s:ID.MAC, by the secret: the caller's. */
static char *
express_cookie(const char *id, const char *secret)
{
	unsigned char mac[32], text[45];
	unsigned len = 0;
	char *cookie;

	assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)id,
			     strlen(id), mac, &len));
	EVP_EncodeBlock(text, mac, 32);
	assert_true(asprintf(&cookie, "s:%s.%.43s", id, text) > 0);
	return cookie;
}

static void
express(void **state)
{
	static const char not_so[] = "not s:ID.SIGNATURE", not_by[] = "not by the secret";
	static const struct {
		const char *cookie, *why;
	} cases[] = {
	    {"", not_so},     {"s:", not_so},        {"s:.", not_so},       {"s.x", not_so},
	    {"abc", not_so},  {"j:{}", not_so},      {"s:abc", not_so},     {"abc.def", not_so},
	    {"s:a.", not_by}, {"s:abc.def", not_by}, {"s:a.b.c.d", not_by},
	};
	char *mine = express_cookie("k3-_x.Y", SECRET), *old = express_cookie("abc", OLD),
	     *other = express_cookie("abc", SECRET "!"), *padded;

	(void)state;
	expect(&session_format_express, mine, "k3-_x.Y");
	expect(&session_format_express, old, "abc");
	expect(&session_format_express, other, not_by);
	assert_true(asprintf(&padded, "%s=", mine) > 0);
	expect(&session_format_express, padded, not_by);
	expect_every_byte_counts(&session_format_express, mine);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(&session_format_express, cases[i].cookie, cases[i].why);
	assert_int_equal(secrets.n, 2);
	free(mine);
	free(old);
	free(other);
	free(padded);
}

/* Django and Flask */

/* TEXT SEPARATOR MAC, by the documented derivation of the key: the caller's. */
static char *
signed_cookie(char separator, const char *text, const char *secret)
{
	static const char salt[] = "django.contrib.sessions.backends.signed_cookiessigner";
	const EVP_MD *md = separator == ':' ? EVP_sha256() : EVP_sha1();
	unsigned char key[32], mac[32], padded[64];
	unsigned key_len = 0, len = 0;
	char seed[256], *cookie;

	if (separator == ':') {
		snprintf(seed, sizeof(seed), "%s%s", salt, secret);
		assert_int_equal(EVP_Digest(seed, strlen(seed), key, &key_len, md, NULL), 1);
	} else {
		assert_non_null(HMAC(md, secret, (int)strlen(secret),
				     (const unsigned char *)"cookie-session", 14, key, &key_len));
	}
	assert_non_null(
	    HMAC(md, key, (int)key_len, (const unsigned char *)text, strlen(text), mac, &len));
	EVP_EncodeBlock(padded, mac, (int)len);
	for (char *p = (char *)padded; *p != '\0'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	assert_true(asprintf(&cookie, "%s%c%s", text, separator, padded) > 0);
	return cookie;
}

/* {"u":"zoe"} is eyJ1Ijoiem9lIn0; 1790000000 is 1x8elk in base 62, and the bytes 6a b1 3b 80. */
static void
whole_cookies(void **state)
{
	static const char json[] = "{\"u\":\"zoe\"}", none[] = "time is none, or has not come";
	static const struct {
		char separator;
		const char *text, *wanted;
	} cases[] = {
	    {':', "eyJ1Ijoiem9lIn0:1x8elk", json},
	    {':', "eyJ1Ijoiem9lIn0:1x3a63", "older"},
	    {':', "eyJ1Ijoiem9lIn0:1x8emj", none},
	    {':', "eyJ1Ijoiem9lIn0:", none},
	    {':', "eyJ1Ijoiem9lIn0:1x8-lk", none},
	    {':', "eyJ1Ijoiem9lIn0:zzzzzzzzzzzzzzz", none},
	    {':', "eyJ1Ijoiem9lIn:1x8elk", "not base64url"},
	    {':', "=:1x8elk", "not base64url"},
	    {'.', "eyJ1Ijoiem9lIn0.arE7gA", json},
	    {'.', "eyJ1Ijoiem9lIn0.aohc_w", "older"},
	    {'.', "eyJ1Ijoiem9lIn0._____w", none},
	    {'.', "eyJ1Ijoiem9lIn0.", none},
	    {'.', "eyJ1Ijoiem9lIn0.___________", none},
	    {'.', "eyJ1Ijoiem9lIn0.a=", none},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct session_format *format =
		    cases[i].separator == ':' ? &session_format_django : &session_format_flask;
		char *mine = signed_cookie(cases[i].separator, cases[i].text, SECRET),
		     *old = signed_cookie(cases[i].separator, cases[i].text, OLD),
		     *other = signed_cookie(cases[i].separator, cases[i].text, SECRET "!");

		expect(format, mine, cases[i].wanted);
		expect(format, old, cases[i].wanted);
		expect(format, other, "not by the secret");
		if (cases[i].wanted == json)
			expect_every_byte_counts(format, mine);
		free(mine);
		free(old);
		free(other);
	}
	expect(&session_format_django, "", "not SESSION:TIME:SIGNATURE");
	expect(&session_format_django, "a:b", "not SESSION:TIME:SIGNATURE");
	expect(&session_format_django, ":b:c", "not SESSION:TIME:SIGNATURE");
	expect(&session_format_flask, "a.b", "not SESSION.TIME.SIGNATURE");
	expect(&session_format_flask, "....", "not by the secret");
}

#ifdef HAVE_ZLIB
/* PAYLOAD, compressed: n bytes of JSON. */
static void
expect_inflated(size_t n, const char *wanted)
{
	uLongf len = compressBound(n);
	unsigned char *packed = malloc(len), *encoded = malloc(2 * len + 4);
	char *json = malloc(n + 1), *text, *cookie;

	memset(json, ' ', n);
	memcpy(json, "{}", 2);
	json[n] = '\0';
	assert_int_equal(compress(packed, &len, (unsigned char *)json, n), Z_OK);
	EVP_EncodeBlock(encoded, packed, (int)len);
	for (char *p = (char *)encoded; *p != '\0'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	assert_true(asprintf(&text, ".%s:1x8elk", encoded) > 0);
	cookie = signed_cookie(':', text, SECRET);
	expect(&session_format_django, cookie, *wanted != '\0' ? wanted : json);
	free(packed);
	free(encoded);
	free(json);
	free(text);
	free(cookie);
}

static void
compressed_sessions(void **state)
{
	char *cookie = signed_cookie(':', ".AAAA:1x8elk", SECRET);

	(void)state;
	expect_inflated(1000, "");
	expect_inflated(SESSION_PLAIN_MAX - 1, "");
	expect_inflated(SESSION_PLAIN_MAX + 1, "larger than 64 KiB");
	expect_inflated(2000 * 1000, "larger than 64 KiB");
	expect(&session_format_django, cookie, "not compressed by zlib");
	free(cookie);
}
#endif

/* Laravel */

#define APP_KEY   "base64:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define APP_BYTES "01234567890123456789012345678901"
#define SHORT_KEY "0123456789abcdef"

static char *
base64(const void *p, size_t len)
{
	unsigned char *text = calloc(1, len * 2 + 8);

	EVP_EncodeBlock(text, p, (int)len);
	return (char *)text;
}

static void
put_hmac(char *hex, const EVP_MD *md, const char *key, size_t key_len, const char *text)
{
	unsigned char mac[32];
	unsigned n = 0;

	assert_non_null(
	    HMAC(md, key, (int)key_len, (const unsigned char *)text, strlen(text), mac, &n));
	for (unsigned i = 0; i < n; i++)
		sprintf(hex + (size_t)2 * i, "%02x", mac[i]);
}

/* A cookie of this name and text, as Crypt::encryptString() and the middleware make it: the
 * caller's. */
static char *
laravel_cookie(const char *key, size_t key_len, bool is_gcm, const char *name, const char *id)
{
	const EVP_CIPHER *cipher = is_gcm          ? EVP_aes_256_gcm()
				   : key_len == 16 ? EVP_aes_128_cbc()
						   : EVP_aes_256_cbc();
	static const unsigned char iv[16] = "an iv of 16 byte";
	unsigned char sealed[512], tag[16];
	char mark[65] = "", mac[65] = "", *of, *plain, *text, *cookie,
	     *iv64 = base64(iv, is_gcm ? 12 : 16), *value64, *tag64;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0;

	assert_true(asprintf(&of, "%sv2", name) > 0);
	put_hmac(mark, EVP_sha1(), key, key_len, of);
	assert_true(asprintf(&plain, "%s|%s", mark, id) > 0);
	assert_int_equal(EVP_EncryptInit_ex(ctx, cipher, NULL, (const unsigned char *)key, iv), 1);
	assert_int_equal(
	    EVP_EncryptUpdate(ctx, sealed, &n, (unsigned char *)plain, (int)strlen(plain)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, sealed + n, &rest), 1);
	if (is_gcm)
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, tag), 1);
	EVP_CIPHER_CTX_free(ctx);
	value64 = base64(sealed, (size_t)(n + rest));
	tag64 = base64(tag, is_gcm ? 16 : 0);
	assert_true(asprintf(&text, "%s%s", iv64, value64) > 0);
	if (!is_gcm)
		put_hmac(mac, EVP_sha256(), key, key_len, text);
	free(text);
	assert_true(asprintf(&text,
			     "{\"iv\":\"%s\",\"value\":\"%s\",\"mac\":\"%s\",\"tag\":\"%s\"}", iv64,
			     value64, mac, tag64) > 0);
	cookie = base64(text, strlen(text));
	free(of);
	free(plain);
	free(text);
	free(iv64);
	free(value64);
	free(tag64);
	return cookie;
}

static void
laravel(void **state)
{
	static const char lines[] = APP_KEY "\n" SHORT_KEY "\n",
			  id[] = "0123456789abcdefghijABCDEFGHIJ0123456789";
	static const char not_so[] = "not encrypted as Laravel", not_by[] = "not by the APP_KEY",
			  other[] = "another one's";
	const char *why,
	    *faulty[] = {
		"",     "e30=", "e30",   "eyJpdiI6IiJ9",
		"W10=", "x",    "s:a.b", "eyJpdiI6IkEiLCJ2YWx1ZSI6IiIsIm1hYyI6IiIsInRhZyI6IiJ9"};
	struct session_secrets keys = {0};
	char *cookie;

	(void)state;
	assert_int_equal(session_secrets_add(&keys, lines, sizeof(lines) - 1, &why), 0);
	used = &keys;
	for (int is_gcm = 0; is_gcm < 2; is_gcm++) {
		cookie = laravel_cookie(APP_BYTES, 32, is_gcm, "sid", id);
		expect(&session_format_laravel, cookie, id);
		expect_every_byte_counts(&session_format_laravel, cookie);
		free(cookie);
		cookie = laravel_cookie("x1234567890123456789012345678901", 32, is_gcm, "sid", id);
		expect(&session_format_laravel, cookie, not_by);
		free(cookie);
		/* The cookie of another name that the same site has encrypted, as one that holds
		 * what a user wrote. */
		cookie = laravel_cookie(APP_BYTES, 32, is_gcm, "theme", id);
		expect(&session_format_laravel, cookie, other);
		free(cookie);
	}
	cookie = laravel_cookie(SHORT_KEY, 16, false, "sid", id);
	expect(&session_format_laravel, cookie, id);
	free(cookie);
	for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++)
		expect(&session_format_laravel, faulty[i], not_so);
	for (size_t i = 0; i < keys.n; i++)
		assert_null(session_format_laravel.secret_fault(&keys.v[i]));
	assert_non_null(session_format_laravel.secret_fault(&secrets.v[0]));
	used = &secrets;
	session_secrets_fini(&keys);
}

/* What Redis keeps */

static void
what_is_read(void **state)
{
	static const struct {
		const struct session_format *format;
		const char *text, *json; /* NULL: none */
	} cases[] = {
	    {&session_format_auto, "{\"user\":7}", "{\"user\":7}"},
	    {&session_format_auto, "user|i:7;", "{\"user\":7}"},
	    {&session_format_auto, "x", NULL},
	    {&session_format_express, "{\"user\":7}", "{\"user\":7}"},
	    {&session_format_express, "user|i:7;", NULL},
	    {&session_format_express, "{\"user\":7", NULL},
	    {&session_format_express, "", NULL},
	    {&session_format_laravel, "s:22:\"a:1:{s:4:\"user\";i:7;}\";", NULL},
	    {&session_format_laravel, "s:21:\"a:1:{s:4:\"user\";i:7;}\";", "{\"user\":7}"},
	    {&session_format_laravel, "s:10:\"{\"user\":7}\";", "{\"user\":7}"},
	    {&session_format_laravel, "a:1:{s:4:\"user\";i:7;}", "{\"user\":7}"},
	    {&session_format_laravel, "s:10:\"{\"user\":7}\"", NULL},
	    {&session_format_laravel, "s:9999999999999999999999:\"x\";", NULL},
	    {&session_format_laravel, "s:1:\"x\";", NULL},
	    {&session_format_laravel, "s:", NULL},
	    {&session_format_laravel, "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *got =
		    cases[i].format->read(cases[i].text, strlen(cases[i].text));

		if (cases[i].json == NULL)
			assert_null(got);
		else
			assert_string_equal(
			    json_object_to_json_string_ext(got, JSON_C_TO_STRING_PLAIN),
			    cases[i].json);
		json_object_put(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(secrets_of_a_file),
	    cmocka_unit_test(too_many_secrets),
	    cmocka_unit_test(express),
	    cmocka_unit_test(whole_cookies),
#ifdef HAVE_ZLIB
	    cmocka_unit_test(compressed_sessions),
#endif
	    cmocka_unit_test(laravel),
	    cmocka_unit_test(what_is_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
