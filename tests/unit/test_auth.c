/*
 * What credentials are: base64url, keys, tokens, links, sessions of PHP.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "auth/bytes.h"
#include "auth/identity.h"
#include "auth/key.h"
#include "auth/php_session.h"
#include "auth/signed_link.h"
#include "auth/token.h"
#include "logic/template.h"

#define NOW    ((int64_t)1000000)
#define SECRET "0123456789abcdef0123456789abcdef"

static const char *
text_of(struct buf *b)
{
	assert_int_equal(buf_putc(b, '\0'), 0);
	return b->p;
}

/* Bytes */

static void
base64url(void **state)
{
	static const struct {
		const char *text, *bytes;
		int rc;
	} cases[] = {
	    {"", "", 0},
	    {"Zg", "f", 0},
	    {"Zm8", "fo", 0},
	    {"Zm9v", "foo", 0},
	    {"Zm9vYg", "foob", 0},
	    {"_-__", "\xff\xef\xff", 0},
	    {"Zh", "", -EINVAL},   /* bits that no byte needs */
	    {"Zm9", "", -EINVAL},  /* the same of two bytes */
	    {"Z", "", -EINVAL},    /* no length of any bytes */
	    {"Zg==", "", -EINVAL}, /* padding */
	    {"+/__", "", -EINVAL}, /* the other alphabet */
	    {"Zm9v\n", "", -EINVAL},
	    {"Zm 9v", "", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b;

		buf_init(&b, 64);
		assert_int_equal(bytes_decode_base64url(&b, cases[i].text, strlen(cases[i].text)),
				 cases[i].rc);
		if (cases[i].rc == 0) {
			assert_int_equal(b.len, strlen(cases[i].bytes));
			if (b.len > 0)
				assert_memory_equal(b.p, cases[i].bytes, b.len);
			buf_truncate(&b, 0);
			assert_int_equal(
			    bytes_put_base64url(&b, cases[i].bytes, strlen(cases[i].bytes)), 0);
			assert_string_equal(text_of(&b), cases[i].text);
		}
		buf_fini(&b);
	}
}

/* RFC 4231, test case 2 */
static void
hmac(void **state)
{
	unsigned char mac[BYTES_HMAC_MAX];
	struct buf b;

	(void)state;
	buf_init(&b, 256);
	assert_int_equal(bytes_hmac(mac, 256, "Jefe", 4, "what do ya want for nothing?", 28), 32);
	assert_int_equal(bytes_put_hex(&b, mac, 32), 0);
	assert_string_equal(text_of(&b),
			    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(bytes_hmac(mac, 384, "Jefe", 4, "", 0), 48);
	assert_int_equal(bytes_hmac(mac, 512, "Jefe", 4, "", 0), 64);
	assert_true(bytes_equal("abc", 3, "abc", 3));
	assert_false(bytes_equal("abc", 3, "abd", 3));
	assert_false(bytes_equal("abc", 3, "abc", 2));
	buf_fini(&b);
}

/* Keys */

/* A new key pair of the kind; its public half as PEM, the caller's. */
static EVP_PKEY *
make_pair(const char *kind, char **pem)
{
	EVP_PKEY *pair = strcmp(kind, "RSA") == 0   ? EVP_RSA_gen(2048)
			 : strcmp(kind, "rsa") == 0 ? EVP_RSA_gen(1024)
			 : strcmp(kind, "Ed") == 0  ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
						    : EVP_EC_gen(kind);
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long len;

	assert_non_null(pair);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, pair), 1);
	len = BIO_get_mem_data(bio, &p);
	*pem = strndup(p, (size_t)len);
	BIO_free(bio);
	return pair;
}

static struct auth_key *
key_of(const char *text)
{
	struct auth_key *key = NULL;
	char why[256] = "";

	if (auth_key_new(&key, text, strlen(text), why, sizeof(why)) < 0)
		fail_msg("%s", why);
	return key;
}

static void
keys(void **state)
{
	static const struct {
		const char *kind, *algorithm;
	} cases[] = {{"RSA", "RS256"},
		     {"P-256", "ES256"},
		     {"P-384", "ES384"},
		     {"P-521", "ES512"},
		     {"Ed", "EdDSA"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_key *key;
		char *pem;
		EVP_PKEY *pair = make_pair(cases[i].kind, &pem);
		size_t len;

		key = key_of(pem);
		assert_string_equal(auth_key_algorithm(key, 0), cases[i].algorithm);
		assert_null(auth_key_secret(key, &len));
		auth_key_free(key);
		free(pem);
		EVP_PKEY_free(pair);
	}
}

static void
keys_that_are_none(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"", "empty"},
	    {"\r\n\n", "empty"},
	    {"short", "32 bytes"},
	    {"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n", "private"},
	    {"-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----\n", "certificate"},
	    {"-----BEGIN PUBLIC KEY-----\nrubbish\n-----END PUBLIC KEY-----\n", "PEM"},
	    {"-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n", "more than one"},
	};
	struct auth_key *key;
	char why[256], *pem;
	EVP_PKEY *weak;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    auth_key_new(&key, cases[i].text, strlen(cases[i].text), why, sizeof(why)),
		    -EINVAL);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, why);
	}
	weak = make_pair("rsa", &pem);
	assert_int_equal(auth_key_new(&key, pem, strlen(pem), why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "2048"));
	free(pem);
	EVP_PKEY_free(weak);
}

/* Tokens */

static char *algorithms_all[] = {(char *)"HS256", (char *)"HS384", (char *)"HS512", NULL};

/* HEADER.PAYLOAD, signed by HMAC with the secret, or with another text as signature. */
static char *
make_token(const char *header, const char *payload, const char *secret, unsigned bits)
{
	unsigned char mac[BYTES_HMAC_MAX];
	struct buf b;
	size_t n;

	buf_init(&b, 65536);
	assert_int_equal(bytes_put_base64url(&b, header, strlen(header)), 0);
	assert_int_equal(buf_putc(&b, '.'), 0);
	assert_int_equal(bytes_put_base64url(&b, payload, strlen(payload)), 0);
	n = bytes_hmac(mac, bits, secret, strlen(secret), b.p, b.len);
	assert_int_equal(buf_putc(&b, '.'), 0);
	assert_int_equal(bytes_put_base64url(&b, mac, n), 0);
	text_of(&b);
	return b.p;
}

static int
read_text(const char *text, const struct token_settings *settings, const char **why)
{
	struct token token;
	int rc = token_read(&token, settings, text, strlen(text), NOW, why);

	if (rc == 0)
		token_fini(&token);
	return rc;
}

#define HS256 "{\"alg\":\"HS256\"}"

static const struct token_case {
	const char *name, *header, *payload, *why; /* why NULL: it is accepted */
} token_cases[] = {
    {"plain", HS256, "{\"sub\":\"zoe\"}", NULL},
    {"all times", HS256, "{\"sub\":\"z\",\"exp\":1000100,\"nbf\":999900,\"iat\":1}", NULL},
    {"expired, within grace", HS256, "{\"sub\":\"z\",\"exp\":999980}", NULL},
    {"not yet, within grace", HS256, "{\"sub\":\"z\",\"nbf\":1000020}", NULL},
    {"typ", "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../x\"}", "{\"sub\":\"z\"}", NULL},
    {"none", "{\"alg\":\"none\"}", "{\"sub\":\"z\"}", "algorithm"},
    {"None", "{\"alg\":\"None\"}", "{\"sub\":\"z\"}", "algorithm"},
    {"escaped none", "{\"alg\":\"n\\u006fne\"}", "{\"sub\":\"z\"}", "algorithm"},
    {"no alg", "{}", "{\"sub\":\"z\"}", "algorithm"},
    {"alg is a number", "{\"alg\":256}", "{\"sub\":\"z\"}", "algorithm"},
    {"another HMAC", "{\"alg\":\"HS384\"}", "{\"sub\":\"z\"}", "algorithm"},
    {"another kind", "{\"alg\":\"RS256\"}", "{\"sub\":\"z\"}", "algorithm"},
    {"alg twice", "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{\"sub\":\"z\"}", "header"},
    {"header is an array", "[]", "{\"sub\":\"z\"}", "header"},
    {"crit", "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"sub\":\"z\"}", "crit"},
    {"b64", "{\"alg\":\"HS256\",\"b64\":false}", "{\"sub\":\"z\"}", "crit"},
    {"zip", "{\"alg\":\"HS256\",\"zip\":\"DEF\"}", "{\"sub\":\"z\"}", "crit"},
    {"expired", HS256, "{\"sub\":\"z\",\"exp\":999969}", "expired"},
    {"not valid yet", HS256, "{\"sub\":\"z\",\"nbf\":1000031}", "not valid yet"},
    {"exp is text", HS256, "{\"sub\":\"z\",\"exp\":\"2000000\"}", "exp"},
    {"exp is a fraction", HS256, "{\"sub\":\"z\",\"exp\":2000000.5}", "exp"},
    {"exp is endless", HS256, "{\"sub\":\"z\",\"exp\":1e400}", "exp"},
    {"exp is 0", HS256, "{\"sub\":\"z\",\"exp\":0}", "exp"},
    {"exp is -1", HS256, "{\"sub\":\"z\",\"exp\":-1}", "exp"},
    {"exp is null", HS256, "{\"sub\":\"z\",\"exp\":null}", "exp"},
    {"exp beyond 64 bits", HS256, "{\"sub\":\"z\",\"exp\":99999999999999999999}", "exp"},
    {"exp twice", HS256, "{\"sub\":\"z\",\"exp\":1,\"exp\":2000000}", "once"},
    {"sub twice", HS256, "{\"sub\":\"a\",\"sub\":\"b\"}", "once"},
    {"no sub", HS256, "{}", "user"},
    {"sub is empty", HS256, "{\"sub\":\"\"}", "user"},
    {"sub is a number", HS256, "{\"sub\":7}", "user"},
    {"sub is an array", HS256, "{\"sub\":[\"a\"]}", "user"},
    {"sub holds a NUL", HS256, "{\"sub\":\"a\\u0000b\"}", "NUL"},
    {"payload is an array", HS256, "[{\"sub\":\"z\"}]", "payload"},
    {"payload is a number", HS256, "1", "payload"},
    {"payload is null", HS256, "null", "payload"},
    {"payload has a BOM", HS256, "\xef\xbb\xbf{\"sub\":\"z\"}", "payload"},
    {"payload is no UTF-8", HS256, "{\"sub\":\"\xc0\xaf\"}", "payload"},
    {"payload is a comment", HS256, "{/**/\"sub\":\"z\"}", "payload"},
    {"more behind it", HS256, "{\"sub\":\"z\"}x", "payload"},
};

static void
check_case(const struct token_case *c, const struct token_settings *settings, const char *secret)
{
	char *text = make_token(c->header, c->payload, secret, 256);
	const char *why = "";
	int rc = read_text(text, settings, &why);

	if (rc != (c->why == NULL ? 0 : -EINVAL) || (c->why != NULL && strstr(why, c->why) == NULL))
		fail_msg("%s: %d, %s", c->name, rc, why);
	free(text);
}

static void
tokens(void **state)
{
	struct token_settings settings = {.key = key_of(SECRET), .user_claim = (char *)"sub"};

	(void)state;
	for (size_t i = 0; i < sizeof(token_cases) / sizeof(token_cases[0]); i++)
		check_case(&token_cases[i], &settings, SECRET);
	auth_key_free(settings.key);
}

static void
audience_and_issuer(void **state)
{
	static const struct token_case cases[] = {
	    {"both", HS256, "{\"sub\":\"z\",\"iss\":\"i\",\"aud\":\"a\"}", NULL},
	    {"one of several", HS256, "{\"sub\":\"z\",\"iss\":\"i\",\"aud\":[\"x\",\"a\"]}", NULL},
	    {"no audience", HS256, "{\"sub\":\"z\",\"iss\":\"i\"}", "aud"},
	    {"another", HS256, "{\"sub\":\"z\",\"iss\":\"i\",\"aud\":\"ab\"}", "aud"},
	    {"others", HS256, "{\"sub\":\"z\",\"iss\":\"i\",\"aud\":[\"x\",1]}", "aud"},
	    {"no issuer", HS256, "{\"sub\":\"z\",\"aud\":\"a\"}", "iss"},
	    {"another issuer", HS256, "{\"sub\":\"z\",\"iss\":\"j\",\"aud\":\"a\"}", "iss"},
	};
	struct token_settings settings = {.key = key_of(SECRET),
					  .issuer = (char *)"i",
					  .audience = (char *)"a",
					  .user_claim = (char *)"sub"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i], &settings, SECRET);
	auth_key_free(settings.key);
}

/* One bit of one byte after the other: no such token is ours. */
static void
every_bit_counts(void **state)
{
	struct token_settings settings = {.key = key_of(SECRET), .user_claim = (char *)"sub"};
	char *text = make_token(HS256, "{\"sub\":\"zoe\"}", SECRET, 256);
	const char *why;

	(void)state;
	assert_int_equal(read_text(text, &settings, &why), 0);
	for (size_t i = 0; text[i] != '\0'; i++) {
		for (int bit = 0; bit < 7; bit++) {
			text[i] = (char)(text[i] ^ 1 << bit);
			assert_int_equal(token_read(&(struct token){0}, &settings, text,
						    strlen(text), NOW, &why),
					 -EINVAL);
			text[i] = (char)(text[i] ^ 1 << bit);
		}
	}
	free(text);
	auth_key_free(settings.key);
}

static void
shapes(void **state)
{
	static const char *const cases[] = {"",     ".",    "..",     "a.b",    "a.b.c.d", "a..c",
					    ".b.c", "a.b.", "a.b.c ", " a.b.c", "\n"};
	struct token_settings settings = {.key = key_of(SECRET), .user_claim = (char *)"sub"};
	char *good = make_token(HS256, "{\"sub\":\"zoe\"}", SECRET, 256), *longer;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(read_text(cases[i], &settings, &why), -EINVAL);
	longer = malloc(strlen(good) + 3);
	for (const char *tail = "=.\n "; *tail != '\0'; tail++) {
		sprintf(longer, "%s%c", good, *tail);
		assert_int_equal(read_text(longer, &settings, &why), -EINVAL);
	}
	free(longer);
	longer = calloc(1, TOKEN_LEN_MAX + 2);
	memset(longer, 'a', TOKEN_LEN_MAX + 1);
	assert_int_equal(read_text(longer, &settings, &why), -EINVAL);
	assert_non_null(strstr(why, "longer"));
	free(longer);
	free(good);
	auth_key_free(settings.key);
}

/* HMAC with the text of the public key, as some libraries let pass. */
static void
confusion(void **state)
{
	struct token_settings settings = {.user_claim = (char *)"sub"};
	const char *why;
	char *pem, *text;
	EVP_PKEY *pair = make_pair("RSA", &pem);

	(void)state;
	settings.key = key_of(pem);
	text = make_token(HS256, "{\"sub\":\"zoe\"}", pem, 256);
	assert_int_equal(read_text(text, &settings, &why), -EINVAL);
	assert_non_null(strstr(why, "algorithm"));
	free(text);
	auth_key_free(settings.key);
	free(pem);
	EVP_PKEY_free(pair);
}

static void
several_algorithms(void **state)
{
	struct token_settings settings = {
	    .key = key_of(SECRET), .algorithms = algorithms_all, .user_claim = (char *)"sub"};
	char *text = make_token("{\"alg\":\"HS512\"}", "{\"sub\":\"z\"}", SECRET, 512);
	const char *why;

	(void)state;
	assert_int_equal(read_text(text, &settings, &why), 0);
	free(text);
	text = make_token("{\"alg\":\"HS512\"}", "{\"sub\":\"z\"}", SECRET, 256);
	assert_int_equal(read_text(text, &settings, &why), -EINVAL);
	free(text);
	auth_key_free(settings.key);
}

/* Signed as others sign: EdDSA's signature is the bytes themselves. */
static void
public_keys(void **state)
{
	static const struct {
		const char *kind, *header;
	} cases[] = {{"RSA", "{\"alg\":\"RS256\"}"}, {"Ed", "{\"alg\":\"EdDSA\"}"}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct token_settings settings = {.user_claim = (char *)"sub"};
		unsigned char signature[512];
		size_t len = sizeof(signature);
		char *pem;
		EVP_PKEY *pair = make_pair(cases[i].kind, &pem);
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		const char *why;
		struct buf b;

		settings.key = key_of(pem);
		buf_init(&b, 8192);
		assert_int_equal(bytes_put_base64url(&b, cases[i].header, strlen(cases[i].header)),
				 0);
		assert_int_equal(buf_putc(&b, '.'), 0);
		assert_int_equal(bytes_put_base64url(&b, "{\"sub\":\"z\"}", 11), 0);
		EVP_DigestSignInit(ctx, NULL, i == 0 ? EVP_sha256() : NULL, NULL, pair);
		assert_int_equal(EVP_DigestSign(ctx, signature, &len, (unsigned char *)b.p, b.len),
				 1);
		assert_int_equal(buf_putc(&b, '.'), 0);
		assert_int_equal(bytes_put_base64url(&b, signature, len), 0);
		assert_int_equal(read_text(text_of(&b), &settings, &why), 0);
		b.p[b.len - 10] = b.p[b.len - 10] == 'A' ? 'B' : 'A';
		assert_int_equal(read_text(b.p, &settings, &why), -EINVAL);
		buf_fini(&b);
		EVP_MD_CTX_free(ctx);
		auth_key_free(settings.key);
		free(pem);
		EVP_PKEY_free(pair);
	}
}

static void
tokens_of_our_own(void **state)
{
	struct token_settings settings = {.key = key_of(SECRET), .user_claim = (char *)"sub"};
	struct json_object *claims =
	    json_tokener_parse("{\"sub\":\"zoe\",\"exp\":1000100,\"role\":[1]}");
	struct token token;
	const char *why;
	struct buf b;

	(void)state;
	buf_init(&b, 8192);
	assert_int_equal(token_put(&b, SECRET, strlen(SECRET), claims), 0);
	assert_int_equal(token_read(&token, &settings, b.p, b.len, NOW, &why), 0);
	assert_string_equal(token.user, "zoe");
	assert_int_equal(token.expires, 1000100);
	token_fini(&token);
	json_object_put(claims);
	buf_fini(&b);
	auth_key_free(settings.key);
}

/* Links */

static int
check_link(const char *uri, const char **why)
{
	int64_t expires;

	*why = "";
	return signed_link_check(uri, SECRET, strlen(SECRET), NOW, &expires, why);
}

static char *
make_link(const char *uri)
{
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(signed_link_put(&b, uri, SECRET, strlen(SECRET)), 0);
	text_of(&b);
	return b.p;
}

static void
links(void **state)
{
	static const struct {
		const char *uri, *more, *why;
		int rc;
	} cases[] = {
	    {"/x?expires=1000001", "", "", 0},
	    {"/x?a=1&expires=1000001&user=zoe", "", "", 0},
	    {"/x?expires=1000001", "&last_event_id=1-0", "", 0},
	    {"/x?expires=1000001", "&lastEventId=1-0", "", 0},
	    {"/x?expires=1000001", "&user=eve", "follows", -EINVAL},
	    {"/x?expires=1000001", "&last_event_id=1-0&user=eve", "follows", -EINVAL},
	    {"/x?expires=1000001", "x", "follows", -EINVAL},
	    {"/x?expires=999999", "", "expired", -EINVAL},
	    {"/x?a=1", "", "expires", -EINVAL},
	    {"/x?expires=", "", "expires", -EINVAL},
	    {"/x?expires=1e9", "", "expires", -EINVAL},
	    {"/x?expires=9999999999999", "", "expires", -EINVAL},
	    {"/x?xexpires=1000001", "", "expires", -EINVAL},
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *link = make_link(cases[i].uri), *uri;

		assert_true(asprintf(&uri, "%s%s", link, cases[i].more) > 0);
		if (check_link(uri, &why) != cases[i].rc || strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", uri, why);
		free(uri);
		free(link);
	}
	assert_int_equal(check_link("/x?expires=1000001", &why), -ENOENT);
	assert_int_equal(check_link("/x", &why), -ENOENT);
	assert_int_equal(check_link("/x?signature=", &why), -EINVAL);
}

static void
changed_links(void **state)
{
	char *link = make_link("/a?expires=1000001&user=zoe");
	const char *why;

	(void)state;
	for (size_t i = 0; link[i] != '\0'; i++) {
		char was = link[i];

		if (was == '?' || strncmp(link + i, "signature=", 10) == 0)
			continue;
		link[i] = was == 'x' ? 'y' : 'x';
		assert_int_not_equal(check_link(link, &why), 0);
		link[i] = was;
	}
	link[strlen(link) - 1] = '\0';
	assert_int_equal(check_link(link, &why), -EINVAL);
	free(link);
}

/* Sessions of PHP */

static void
php_sessions(void **state)
{
	static const struct {
		const char *text, *json; /* NULL: none */
	} cases[] = {
	    {"", "{}"},
	    {"user|s:3:\"zoe\";", "{\"user\":\"zoe\"}"},
	    {"a|i:-7;b|b:1;c|N;d|d:0.5;", "{\"a\":-7,\"b\":true,\"c\":null,\"d\":0.5}"},
	    {"cart|a:2:{i:0;s:1:\"x\";i:1;s:1:\"y\";}", "{\"cart\":[\"x\",\"y\"]}"},
	    {"cart|a:1:{i:3;s:1:\"x\";}", "{\"cart\":{\"3\":\"x\"}}"},
	    {"u|a:1:{s:2:\"id\";i:7;}n|i:1;", "{\"u\":{\"id\":7},\"n\":1}"},
	    {"t|s:10:\"a;b\"|}i:1;\";", "{\"t\":\"a;b\\\"|}i:1;\"}"},
	    {"o|O:4:\"User\":1:{s:2:\"id\";i:7;}", "{\"o\":{\"id\":7}}"},
	    {"a:1:{s:4:\"user\";s:3:\"zoe\";}", "{\"user\":\"zoe\"}"},
	    {"a|i:1;b|R:1;", "{\"a\":1,\"b\":null}"},
	    {"user|s:4:\"zoe\";", NULL},
	    {"user|s:99999999999:\"zoe\";", NULL},
	    {"user|s:-1:\"zoe\";", NULL},
	    {"user|s:3:zoe;", NULL},
	    {"user|s:3:\"zoe\"", NULL},
	    {"user|", NULL},
	    {"|s:3:\"zoe\";", NULL},
	    {"user", NULL},
	    {"a|i:;", NULL},
	    {"a|i:1x;", NULL},
	    {"a|i:99999999999999999999;", NULL},
	    {"a|b:2;", NULL},
	    {"a|a:2:{i:0;i:1;}", NULL},
	    {"a|a:1:{i:0;i:1;i:1;i:2;}", NULL},
	    {"a|C:1:\"x\":0:{}", NULL},
	    {"{\"user\":\"zoe\"}", NULL},
	};
	char deep[1024] = "a|";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *got = php_session_parse(cases[i].text, strlen(cases[i].text));

		if (cases[i].json == NULL)
			assert_null(got);
		else
			assert_string_equal(
			    json_object_to_json_string_ext(got, JSON_C_TO_STRING_PLAIN),
			    cases[i].json);
		json_object_put(got);
	}
	for (int i = 0; i < 40; i++)
		strcat(deep, "a:1:{i:0;");
	assert_null(php_session_parse(deep, strlen(deep)));
}

/* Who asks */

static void
identities(void **state)
{
	struct identity id = {0}, copy;

	(void)state;
	assert_null(identity_value(&id, "user"));
	assert_null(identity_value(&id, "claim.a"));
	assert_string_equal(identity_value(&id, TEMPLATE_USER), "");
	assert_string_equal(identity_value(&id, TEMPLATE_CLAIMS), "null");
	id.user = strdup("zoe");
	id.claims = json_tokener_parse("{\"dept\":\"x\",\"n\":1,\"l\":[1],\"z\":\"a\\u0000b\"}");
	assert_int_equal(identity_copy(&copy, &id), 0);
	identity_fini(&id);
	assert_null(identity_value(&id, "user"));
	assert_string_equal(identity_value(&copy, "user"), "zoe");
	assert_string_equal(identity_value(&copy, "claim.dept"), "x");
	assert_null(identity_value(&copy, "claim.n"));
	assert_null(identity_value(&copy, "claim.l"));
	assert_null(identity_value(&copy, "claim.z"));
	assert_null(identity_value(&copy, "claim.other"));
	assert_string_equal(identity_value(&copy, TEMPLATE_CLAIMS ".l"), "[1]");
	assert_string_equal(identity_value(&copy, TEMPLATE_CLAIMS ".other"), "null");
	assert_true(identity_is_name("user") && identity_is_name("claim.x"));
	assert_false(identity_is_name("users") || identity_is_name("claims"));
	identity_fini(&copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64url),
	    cmocka_unit_test(hmac),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(keys_that_are_none),
	    cmocka_unit_test(tokens),
	    cmocka_unit_test(audience_and_issuer),
	    cmocka_unit_test(every_bit_counts),
	    cmocka_unit_test(shapes),
	    cmocka_unit_test(confusion),
	    cmocka_unit_test(several_algorithms),
	    cmocka_unit_test(public_keys),
	    cmocka_unit_test(tokens_of_our_own),
	    cmocka_unit_test(links),
	    cmocka_unit_test(changed_links),
	    cmocka_unit_test(php_sessions),
	    cmocka_unit_test(identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
