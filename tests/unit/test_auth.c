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
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/bytes.h"
#include "auth/identity.h"
#include "auth/keys.h"
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

/* Added to what there is. */
static void
add_key(struct auth_keys *keys, const char *text)
{
	char why[512] = "";

	if (keys_add(keys, text, strlen(text), KEYS_OF_FILE, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

static struct auth_keys
keys_of(const char *text)
{
	struct auth_keys keys = {0};

	add_key(&keys, text);
	return keys;
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
		struct auth_keys of_file;
		char *pem;
		EVP_PKEY *pair = make_pair(cases[i].kind, &pem);
		size_t len;

		of_file = keys_of(pem);
		assert_int_equal(of_file.n, 1);
		assert_string_equal(auth_key_algorithm(of_file.v[0], 0), cases[i].algorithm);
		assert_null(auth_key_secret(of_file.v[0], &len));
		keys_fini(&of_file);
		free(pem);
		EVP_PKEY_free(pair);
	}
}

static void
expect_refusal(const char *text, size_t len, enum keys_place place, const char *wanted)
{
	struct auth_keys none = {0};
	char why[512] = "";

	assert_int_equal(keys_add(&none, text, len, place, why, sizeof(why)), -EINVAL);
	if (strstr(why, wanted) == NULL)
		fail_msg("%.40s: %s, not %s", text, why, wanted);
	assert_int_equal(none.n, 0);
}

#define PADDED "0123456789abcdef0123456789abcdef0123456789"

static void
keys_that_are_none(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"", "empty"},
	    {"\r\n\n", "empty"},
	    {"short", "32 bytes"},
	    {"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n", "pkey -in FILE"},
	    {"-----BEGIN RSA PRIVATE KEY-----\nMC4=\n", "pkey -in FILE -pubout"},
	    {"-----BEGIN OPENSSH PRIVATE KEY-----\nMC4=\n", "private"},
	    {"-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----\n", "x509 -pubkey"},
	    {"-----BEGIN CERTIFICATE REQUEST-----\nMC4=\n", "req -pubkey"},
	    {"-----BEGIN RSA PUBLIC KEY-----\nMC4=\n", "-RSAPublicKey_in"},
	    {"-----BEGIN PGP PUBLIC KEY BLOCK-----\nMC4=\n", "PGP"},
	    {"-----BEGIN PUBLIC KEY-----\nrubbish\n-----END PUBLIC KEY-----\n", "PEM"},
	    {"-----BEGIN PUBLIC KEY-----\n-----BEGIN PUBLIC KEY-----\n", "more than one"},
	    {"-----BEGIN PUBLIC KEY-----\\nMC4=\\n-----END PUBLIC KEY-----", "printf"},
	    {"---- BEGIN SSH2 PUBLIC KEY ----\nAAAAB3NzaC1yc2E\n", "ssh-keygen -i"},
	    {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== ada@example", "ssh-keygen -e -m PKCS8"},
	    {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ada@example", "ssh-keygen -e"},
	    {"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= a", "ssh-keygen -e"},
	    {"from=\"192.0.2.1\" ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ==", "ssh-keygen -e"},
	    {"https://login.example.org/realms/a/protocol/openid-connect/certs", "curl"},
	    {" file:///etc/sluice/keys.json and so on and so on", "curl"},
	    {"<RSAKeyValue><Modulus>abcdefghijklmnop</Modulus></RSAKeyValue>", "XML"},
	    {"\xef\xbb\xbf" PADDED, "sed -i"},
	    {"\xef\xbb\xbf{\"keys\":[]}", "sed -i"},
	    {"Modulus=C0FFEEC0FFEEC0FFEEC0FFEEC0FFEEC0FFEEC0FFEEC0FFEEC0FFEE", "openssl rsa -in"},
	    {PADDED "\n" PADDED, "second line"},
	    {PADDED "\r\n# made by hand", "second line"},
	    {"\n" PADDED, "second line"},
	};
	char same[48];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		expect_refusal(cases[i].text, strlen(cases[i].text), KEYS_OF_FILE, cases[i].why);
		expect_refusal(cases[i].text, strlen(cases[i].text), KEYS_OF_VALUE, cases[i].why);
	}
	expect_refusal("\xff\xfe"
		       "a\0b\0",
		       6, KEYS_OF_FILE, "iconv");
	memset(same, 0, sizeof(same));
	expect_refusal(same, sizeof(same), KEYS_OF_FILE, "over and over");
	memset(same, 0xff, sizeof(same));
	expect_refusal(same, sizeof(same), KEYS_OF_FILE, "over and over");
	memset(same, ' ', sizeof(same));
	expect_refusal(same, sizeof(same), KEYS_OF_FILE, "over and over");
}

/* What looks like none of those may be a secret, whatever it holds. */
static void
secrets(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
	    {PADDED, 42},
	    {PADDED "\r\n\n", 42},
	    {"correct horse battery staple, and one more word", 47},
	    {"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=", 44},
	    {"0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9", 64},
	    {"M2lkZGxlIHRoYXQgYmVnaW5zIHdpdGggdGhlIHNhbWUgYnl0ZQ==", 52},
	};
	static const char binary[] = "\x01\x00\x0a\xff 0123456789abcdef0123456789abcdef";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct auth_keys keys_found = keys_of(cases[i].text);
		size_t len;

		assert_int_equal(keys_found.n, 1);
		assert_non_null(auth_key_secret(keys_found.v[0], &len));
		assert_int_equal(len, cases[i].len);
		keys_fini(&keys_found);
	}
	{
		struct auth_keys keys_found = {0};
		char why[512];

		assert_int_equal(keys_add(&keys_found, binary, sizeof(binary) - 1, KEYS_OF_FILE,
					  why, sizeof(why)),
				 0);
		keys_fini(&keys_found);
	}
}

static char *
base64(const unsigned char *p, size_t len)
{
	char *text = calloc(1, len * 2 + 4);

	EVP_EncodeBlock((unsigned char *)text, p, (int)len);
	return text;
}

/* A certificate of the pair, signed by itself, in DER: the caller's. */
static size_t
make_certificate(EVP_PKEY *pair, unsigned char **der)
{
	X509 *x = X509_new();
	int len;

	assert_int_equal(X509_set_version(x, 2), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, pair);
	assert_true(
	    X509_sign(x, pair, EVP_PKEY_base_id(pair) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) >
	    0);
	*der = NULL;
	len = i2d_X509(x, der);
	assert_true(len > 0);
	X509_free(x);
	return (size_t)len;
}

/* The same bytes as they are, in base64, cut, in hexadecimal digits; and a PEM of them in base64.
 */
static void
expect_all_forms_refused(const unsigned char *der, size_t len, const char *in_der,
			 const char *in_base64)
{
	char *text = base64(der, len), *twice;
	struct buf hex;

	expect_refusal((const char *)der, len, KEYS_OF_FILE, in_der);
	expect_refusal((const char *)der, len, KEYS_OF_VALUE, in_der);
	expect_refusal(text, strlen(text), KEYS_OF_FILE, in_base64);
	expect_refusal(text, strlen(text), KEYS_OF_VALUE, in_base64);
	for (char *p = text; *p != '\0'; p++)
		*p = (char)(*p == '+' ? '-' : *p == '/' ? '_' : *p);
	expect_refusal(text, strcspn(text, "="), KEYS_OF_VALUE, in_base64);
	free(text);
	assert_true(asprintf(&text, "-----BEGIN PUBLIC KEY-----\n%.*s", 10, (char *)der) > 0);
	twice = base64((unsigned char *)text, strlen(text));
	expect_refusal(twice, strlen(twice), KEYS_OF_VALUE, "base64 -d FILE > key.pem");
	free(twice);
	free(text);
	buf_init(&hex, 65536);
	assert_int_equal(bytes_put_hex(&hex, der, len), 0);
	if (strstr(in_der, "certificate") == NULL)
		expect_refusal(hex.p, hex.len, KEYS_OF_VALUE, "xxd -r -p");
	buf_fini(&hex);
}

static void
public_keys_in_other_forms(void **state)
{
	static const char *const kinds_of_key[] = {"RSA", "P-256", "P-384", "P-521", "Ed"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		unsigned char *der = NULL, *certificate;
		char *pem;
		EVP_PKEY *pair = make_pair(kinds_of_key[i], &pem);
		int len = i2d_PUBKEY(pair, &der);
		size_t certificate_len = make_certificate(pair, &certificate);

		expect_all_forms_refused(der, (size_t)len, "pkey -pubin -inform DER -out key.pem",
					 "base64 -d FILE | openssl pkey -pubin");
		expect_all_forms_refused(certificate, certificate_len, "certificate in DER",
					 "base64 -d FILE | openssl x509");
		/* What was copied without its end is no secret either. */
		{
			char *text = base64(der, (size_t)len);

			expect_refusal(text, 40, KEYS_OF_VALUE, "base64 -d FILE");
			free(text);
		}
		OPENSSL_free(der);
		OPENSSL_free(certificate);
		free(pem);
		EVP_PKEY_free(pair);
	}
}

static void
weak_keys(void **state)
{
	char *pem;
	EVP_PKEY *weak = make_pair("rsa", &pem);

	(void)state;
	expect_refusal(pem, strlen(pem), KEYS_OF_FILE, "2048");
	free(pem);
	EVP_PKEY_free(weak);
}

/* JWK sets */

static void
put_number(struct buf *b, const char *name, EVP_PKEY *pair, const char *param)
{
	unsigned char bytes[512];
	BIGNUM *n = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(pair, param, &n), 1);
	assert_int_equal(buf_printf(b, ",\"%s\":\"", name), 0);
	assert_int_equal(bytes_put_base64url(b, bytes, (size_t)BN_bn2bin(n, bytes)), 0);
	assert_int_equal(buf_putc(b, '"'), 0);
	BN_free(n);
}

static void
put_half(struct buf *b, const char *name, EVP_PKEY *pair, const char *param, int len)
{
	unsigned char bytes[66];
	BIGNUM *n = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(pair, param, &n), 1);
	assert_int_equal(BN_bn2binpad(n, bytes, len), len);
	assert_int_equal(buf_printf(b, ",\"%s\":\"", name), 0);
	assert_int_equal(bytes_put_base64url(b, bytes, (size_t)len), 0);
	assert_int_equal(buf_putc(b, '"'), 0);
	BN_free(n);
}

/* The pair's public half as a JWK with these members, too. */
static void
put_jwk(struct buf *b, const char *kind, EVP_PKEY *pair, const char *more)
{
	unsigned char raw[32];
	size_t len = sizeof(raw);

	assert_int_equal(buf_printf(b, "{\"kty\":\"%s\"%s",
				    *kind == 'P'               ? "EC"
				    : strcmp(kind, "RSA") == 0 ? "RSA"
							       : "OKP",
				    more),
			 0);
	if (*kind == 'P') {
		int half = (EVP_PKEY_bits(pair) + 7) / 8;

		assert_int_equal(buf_printf(b, ",\"crv\":\"%s\"", kind), 0);
		put_half(b, "x", pair, OSSL_PKEY_PARAM_EC_PUB_X, half);
		put_half(b, "y", pair, OSSL_PKEY_PARAM_EC_PUB_Y, half);
	} else if (strcmp(kind, "RSA") == 0) {
		put_number(b, "n", pair, OSSL_PKEY_PARAM_RSA_N);
		put_number(b, "e", pair, OSSL_PKEY_PARAM_RSA_E);
	} else {
		assert_int_equal(EVP_PKEY_get_raw_public_key(pair, raw, &len), 1);
		assert_int_equal(buf_puts(b, ",\"crv\":\"Ed25519\",\"x\":\""), 0);
		assert_int_equal(bytes_put_base64url(b, raw, len), 0);
		assert_int_equal(buf_putc(b, '"'), 0);
	}
	assert_int_equal(buf_putc(b, '}'), 0);
}

/* Each kind of key out of a set, and the same alone, is the one that a PEM has. */
static void
jwk_sets(void **state)
{
	static const struct {
		const char *kind, *algorithm;
	} cases[] = {{"RSA", "RS256"},
		     {"P-256", "ES256"},
		     {"P-384", "ES384"},
		     {"P-521", "ES512"},
		     {"Ed", "EdDSA"}};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct auth_keys found;
		char *pem;
		EVP_PKEY *pair = make_pair(cases[i].kind, &pem);
		struct buf b;

		buf_init(&b, 65536);
		put_jwk(&b, cases[i].kind, pair, ",\"kid\":\"k1\"");
		expect_refusal(b.p, b.len, KEYS_OF_VALUE, "JWK");
		found = keys_of(text_of(&b));
		assert_int_equal(found.n, 1);
		assert_string_equal(auth_key_algorithm(found.v[0], 0), cases[i].algorithm);
		assert_true(auth_key_has_name(found.v[0], "k1"));
		keys_fini(&found);
		buf_truncate(&b, 0);
		assert_int_equal(buf_puts(&b, " {\"keys\":[{\"kty\":\"new\"},"
					      "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQ\"},"
					      "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AQ\"},"),
				 0);
		put_jwk(&b, cases[i].kind, pair, ",\"use\":\"enc\"");
		assert_int_equal(buf_putc(&b, ','), 0);
		put_jwk(&b, cases[i].kind, pair, ",\"alg\":\"RSA-OAEP\"");
		assert_int_equal(buf_putc(&b, ','), 0);
		put_jwk(&b, cases[i].kind, pair, ",\"use\":\"sig\",\"kid\":\"k2\"");
		assert_int_equal(buf_puts(&b, "]}\n"), 0);
		found = keys_of(text_of(&b));
		assert_int_equal(found.n, 1);
		assert_true(auth_key_has_name(found.v[0], "k2"));
		keys_fini(&found);
		buf_fini(&b);
		free(pem);
		EVP_PKEY_free(pair);
	}
}

static void
jwk_sets_that_are_none(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
	    {"{", "begins as JSON"},
	    {"{}\n\n", "no JWK"},
	    {"[]", "begins as JSON"},
	    {"{}", "no JWK"},
	    {"{\"keys\":{}}", "no list"},
	    {"{\"keys\":[]}", "no JWK"},
	    {"{\"keys\":[1,null,{}]}", "no JWK"},
	    {"{\"kty\":\"RSA\",\"kty\":\"EC\"}", "begins as JSON"},
	    {"{\"kty\":\"RSA\",\"n\":\"AQ\"}", "RSA is none"},
	    {"{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\",\"d\":\"AQ\"}", "private"},
	    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}", "EC is none"},
	    {"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQ\",\"y\":\"AQ\"}", "EC is none"},
	    {"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AQ\"}", "OKP is none"},
	    {"{\"kty\":\"oct\"}", "no k"},
	    {"{\"kty\":\"oct\",\"k\":\"AQ\"}", "32 bytes"},
	    {"{\"jwks_uri\":\"https://x/\"}", "curl"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal(cases[i].text, strlen(cases[i].text), KEYS_OF_FILE, cases[i].why);
}

/* Tokens */

static char *algorithms_long[] = {(char *)"HS512", NULL};
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
    {"times are fractions", HS256, "{\"sub\":\"z\",\"exp\":1000000.5,\"nbf\":999999.5}", NULL},
    {"exp is large", HS256, "{\"sub\":\"z\",\"exp\":4e9}", NULL},
    {"exp is large and has a fraction", HS256, "{\"sub\":\"z\",\"exp\":4000000000.0}", NULL},
    {"nbf is large", HS256, "{\"sub\":\"z\",\"nbf\":4e9}", "not valid yet"},
    {"expired by a fraction", HS256, "{\"sub\":\"z\",\"exp\":999969.5}", "expired"},
    {"exp is endless", HS256, "{\"sub\":\"z\",\"exp\":1e400}", "exp"},
    {"exp is 0", HS256, "{\"sub\":\"z\",\"exp\":0}", "exp"},
    {"exp is -1", HS256, "{\"sub\":\"z\",\"exp\":-1}", "exp"},
    {"exp is null", HS256, "{\"sub\":\"z\",\"exp\":null}", "exp"},
    {"exp beyond 64 bits", HS256, "{\"sub\":\"z\",\"exp\":99999999999999999999}", NULL},
    {"nbf beyond 64 bits", HS256, "{\"sub\":\"z\",\"nbf\":1e300}", "not valid yet"},
    {"exp twice", HS256, "{\"sub\":\"z\",\"exp\":1,\"exp\":2000000}", "once"},
    {"sub twice", HS256, "{\"sub\":\"a\",\"sub\":\"b\"}", "once"},
    {"no sub", HS256, "{}", "user"},
    {"sub is null", HS256, "{\"sub\":null}", "user"},
    {"sub is an integer", HS256, "{\"sub\":7}", NULL},
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
	struct token_settings settings = {.keys = keys_of(SECRET), .user_claim = (char *)"sub"};

	(void)state;
	for (size_t i = 0; i < sizeof(token_cases) / sizeof(token_cases[0]); i++)
		check_case(&token_cases[i], &settings, SECRET);
	keys_fini(&settings.keys);
}

/* Who it is must be a text or an integer: else the token is good, and its user is not. */
static void
users_of_tokens(void **state)
{
	static const struct {
		const char *payload, *user, *why;
	} cases[] = {
	    {"{\"sub\":7}", "7", NULL},
	    {"{\"sub\":-9007199254740993}", "-9007199254740993", NULL},
	    {"{\"sub\":\"7\"}", "7", NULL},
	    {"{\"sub\":7.5}", NULL, "neither a text nor an integer"},
	    {"{\"sub\":true}", NULL, "neither a text nor an integer"},
	    {"{\"sub\":[\"a\"]}", NULL, "neither a text nor an integer"},
	    {"{\"sub\":{}}", NULL, "neither a text nor an integer"},
	    {"{\"sub\":\"\"}", NULL, "empty"},
	    {"{\"sub\":\"a\\u0000b\"}", NULL, "NUL"},
	};
	struct token_settings settings = {.keys = keys_of(SECRET), .user_claim = (char *)"sub"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = make_token(HS256, cases[i].payload, SECRET, 256);
		struct token token;
		const char *why = "";
		int rc = token_read(&token, &settings, text, strlen(text), NOW, &why);

		if (rc != (cases[i].user != NULL ? 0 : -EPERM) ||
		    (cases[i].why != NULL && strstr(why, cases[i].why) == NULL))
			fail_msg("%s: %d, %s", cases[i].payload, rc, why);
		if (rc == 0) {
			assert_string_equal(token.user, cases[i].user);
			token_fini(&token);
		}
		free(text);
	}
	keys_fini(&settings.keys);
}

#define OTHER "fedcba9876543210fedcba9876543210"
#define THIRD "a third secret of thirty-two bytes"

/* One key takes another's place: tokens of both count; what a kid names is tried alone. */
static void
rotation(void **state)
{
	static const struct {
		const char *name, *header, *secret;
		bool is_ours;
	} cases[] = {
	    {"the first", HS256, SECRET, true},
	    {"the second", HS256, OTHER, true},
	    {"of the set, by kid", "{\"alg\":\"HS256\",\"kid\":\"k\"}", THIRD, true},
	    {"of the set, without a kid", HS256, THIRD, true},
	    {"of the set, another kid", "{\"alg\":\"HS256\",\"kid\":\"x\"}", THIRD, true},
	    {"the kid is no text", "{\"alg\":\"HS256\",\"kid\":7}", THIRD, true},
	    {"another's kid", "{\"alg\":\"HS256\",\"kid\":\"k\"}", SECRET, false},
	    {"another algorithm than the set's", "{\"alg\":\"HS384\",\"kid\":\"k\"}", THIRD, false},
	    {"of nobody", HS256, "11112222333344445555666677778888", false},
	};
	struct token_settings settings = {.keys = keys_of(SECRET), .user_claim = (char *)"sub"};
	struct buf set;

	(void)state;
	add_key(&settings.keys, OTHER);
	buf_init(&set, 1024);
	assert_int_equal(buf_puts(&set,
				  "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"k\",\"alg\":\"HS256\","
				  "\"k\":\""),
			 0);
	assert_int_equal(bytes_put_base64url(&set, THIRD, strlen(THIRD)), 0);
	assert_int_equal(buf_puts(&set, "\"}]}"), 0);
	add_key(&settings.keys, text_of(&set));
	buf_fini(&set);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned bits = strstr(cases[i].header, "384") != NULL ? 384 : 256;
		char *text = make_token(cases[i].header, "{\"sub\":\"z\"}", cases[i].secret, bits);
		const char *why;

		if ((read_text(text, &settings, &why) == 0) != cases[i].is_ours)
			fail_msg("%s: %s", cases[i].name, why);
		free(text);
	}
	keys_fini(&settings.keys);
}

/* By default the usual one of each key, or the one that its set names, and no other. */
static void
algorithms_by_default(void **state)
{
	static const struct {
		const char *secret, *header;
		unsigned bits;
		bool is_ours;
	} cases[] = {
	    {SECRET, HS256, 256, true},
	    {SECRET OTHER, HS256, 256, true},
	    {SECRET OTHER, "{\"alg\":\"HS384\"}", 384, false},
	    {SECRET OTHER, "{\"alg\":\"HS512\"}", 512, false},
	    {SECRET OTHER, "{\"alg\":\"RS256\"}", 256, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_settings settings = {.keys = keys_of(cases[i].secret),
						  .user_claim = (char *)"sub"};
		char *text =
		    make_token(cases[i].header, "{\"sub\":\"z\"}", cases[i].secret, cases[i].bits);
		const char *why;

		assert_int_equal(read_text(text, &settings, &why) == 0, cases[i].is_ours);
		free(text);
		keys_fini(&settings.keys);
	}
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
	struct token_settings settings = {.keys = keys_of(SECRET),
					  .issuer = (char *)"i",
					  .audience = (char *)"a",
					  .user_claim = (char *)"sub"};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i], &settings, SECRET);
	keys_fini(&settings.keys);
}

/* One bit of one byte after the other: no such token is ours. */
static void
every_bit_counts(void **state)
{
	struct token_settings settings = {.keys = keys_of(SECRET), .user_claim = (char *)"sub"};
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
	keys_fini(&settings.keys);
}

static void
shapes(void **state)
{
	static const char *const cases[] = {"",     ".",    "..",     "a.b",    "a.b.c.d", "a..c",
					    ".b.c", "a.b.", "a.b.c ", " a.b.c", "\n"};
	struct token_settings settings = {.keys = keys_of(SECRET), .user_claim = (char *)"sub"};
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
	keys_fini(&settings.keys);
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
	settings.keys = keys_of(pem);
	text = make_token(HS256, "{\"sub\":\"zoe\"}", pem, 256);
	assert_int_equal(read_text(text, &settings, &why), -EINVAL);
	assert_non_null(strstr(why, "algorithm"));
	free(text);
	keys_fini(&settings.keys);
	free(pem);
	EVP_PKEY_free(pair);
}

static void
several_algorithms(void **state)
{
	struct token_settings settings = {
	    .keys = keys_of(SECRET), .algorithms = algorithms_all, .user_claim = (char *)"sub"};
	char *text = make_token("{\"alg\":\"HS512\"}", "{\"sub\":\"z\"}", SECRET, 512);
	const char *why;

	(void)state;
	assert_int_equal(read_text(text, &settings, &why), 0);
	free(text);
	text = make_token("{\"alg\":\"HS512\"}", "{\"sub\":\"z\"}", SECRET, 256);
	assert_int_equal(read_text(text, &settings, &why), -EINVAL);
	free(text);
	keys_fini(&settings.keys);
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

		settings.keys = keys_of(pem);
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
		keys_fini(&settings.keys);
		free(pem);
		EVP_PKEY_free(pair);
	}
}

static void
tokens_of_our_own(void **state)
{
	struct token_settings settings = {.keys = keys_of(SECRET), .user_claim = (char *)"sub"};
	struct json_object *claims =
	    json_tokener_parse("{\"sub\":\"zoe\",\"exp\":1000100,\"role\":[1]}");
	struct token token;
	const char *why;
	struct buf b;

	(void)state;
	buf_init(&b, 8192);
	assert_int_equal(token_put(&b, &settings, claims), 0);
	assert_int_equal(token_read(&token, &settings, b.p, b.len, NOW, &why), 0);
	assert_string_equal(token.user, "zoe");
	assert_int_equal(token.expires, 1000100);
	token_fini(&token);
	/* By an algorithm that the settings allow. */
	settings.algorithms = algorithms_long;
	buf_truncate(&b, 0);
	assert_int_equal(token_put(&b, &settings, claims), 0);
	assert_int_equal(token_read(&token, &settings, b.p, b.len, NOW, &why), 0);
	token_fini(&token);
	json_object_put(claims);
	buf_fini(&b);
	keys_fini(&settings.keys);
}

/* Links */

static int
check_link(const char *uri, struct signed_link *link, const char **why)
{
	struct auth_keys keys_of_links = keys_of(OTHER);
	int rc;

	add_key(&keys_of_links, SECRET);
	*why = "";
	rc = signed_link_check(link, uri, &keys_of_links, NOW, why);
	keys_fini(&keys_of_links);
	return rc;
}

static char *
make_link(const char *uri)
{
	struct auth_keys keys_of_links = keys_of(SECRET);
	struct buf b;

	buf_init(&b, 4096);
	assert_int_equal(signed_link_put(&b, uri, &keys_of_links), 0);
	keys_fini(&keys_of_links);
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
	    {"/x?expires=1000001", "x", "follows", -EINVAL},
	    {"/x?expires=999999", "", "expired", -EINVAL},
	    {"/x?a=1", "", "expires", -EINVAL},
	    {"/x?expires=", "", "expires", -EINVAL},
	    {"/x?expires=1e9", "", "expires", -EINVAL},
	    {"/x?expires=1000001000", "", "", 0},
	    {"/x?expires=1000001000000", "", "milliseconds", -EINVAL},
	    {"/x?xexpires=1000001", "", "expires", -EINVAL},
	    {"/x?expires=1000001&expires=1000002", "", "twice", -EINVAL},
	    {"/x?user=a&expires=1000001&user=b", "", "twice", -EINVAL},
	    {"/x?expires=1000001&may=all", "", "may=publish", -EINVAL},
	    {"/x?expires=1000001&may=", "", "may=publish", -EINVAL},
	    {"/x?expires=1000001&user=%zz", "", "malformed", -EINVAL},
	    {"/x?expires=1000001&user=a%00b", "", "malformed", -EINVAL},
	};
	struct signed_link found;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *link = make_link(cases[i].uri), *uri;

		assert_true(asprintf(&uri, "%s%s", link, cases[i].more) > 0);
		if (check_link(uri, &found, &why) != cases[i].rc ||
		    (cases[i].rc < 0 && strstr(why, cases[i].why) == NULL))
			fail_msg("%s: %s", uri, why);
		if (cases[i].rc == 0)
			assert_string_equal(found.behind, cases[i].more);
		signed_link_fini(&found);
		free(uri);
		free(link);
	}
	assert_int_equal(check_link("/x?expires=1000001", &found, &why), -ENOENT);
	assert_int_equal(check_link("/x", &found, &why), -ENOENT);
	assert_int_equal(check_link("/x?signature=", &found, &why), -EINVAL);
}

/* What counts is what was signed, whatever stands behind it. */
static void
what_links_say(void **state)
{
	char *link = make_link("/x?user=a%2Bb%40c&expires=1000001&may=publish"), *uri;
	struct signed_link found;
	const char *why;

	(void)state;
	assert_true(asprintf(&uri, "%s&user=eve&expires=9", link) > 0);
	assert_int_equal(check_link(uri, &found, &why), 0);
	assert_string_equal(found.user, "a+b@c");
	assert_int_equal(found.expires, 1000001);
	assert_true(found.may_publish);
	signed_link_fini(&found);
	free(uri);
	free(link);
	link = make_link("/x?expires=1000001");
	assert_true(asprintf(&uri, "%s&may=publish", link) > 0);
	assert_int_equal(check_link(uri, &found, &why), 0);
	assert_null(found.user);
	assert_false(found.may_publish);
	free(uri);
	free(link);
}

static void
changed_links(void **state)
{
	char *link = make_link("/a?expires=1000001&user=zoe");
	struct signed_link found;
	const char *why;

	(void)state;
	for (size_t i = 0; link[i] != '\0'; i++) {
		char was = link[i];

		if (was == '?' || strncmp(link + i, "signature=", 10) == 0)
			continue;
		link[i] = was == 'x' ? 'y' : 'x';
		assert_int_not_equal(check_link(link, &found, &why), 0);
		signed_link_fini(&found);
		link[i] = was;
	}
	link[strlen(link) - 1] = '\0';
	assert_int_equal(check_link(link, &found, &why), -EINVAL);
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
	    {"suit|E:6:\"Suit:A\";n|i:1;", "{\"suit\":\"Suit:A\",\"n\":1}"},
	    {"o|O:1:\"U\":1:{s:1:\"s\";E:6:\"Suit:A\";}", "{\"o\":{\"s\":\"Suit:A\"}}"},
	    {"a|C:1:\"x\":3:{a}b}n|i:1;", "{\"a\":null,\"n\":1}"},
	    {"a|C:1:\"x\":4:{ab}", NULL},
	    {"a|E:7:\"Suit:A\";", NULL},
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
	id.claims =
	    json_tokener_parse("{\"dept\":\"x\",\"n\":1,\"f\":1.5,\"l\":[1],\"z\":\"a\\u0000b\"}");
	assert_int_equal(identity_copy(&copy, &id), 0);
	identity_fini(&id);
	assert_null(identity_value(&id, "user"));
	assert_string_equal(identity_value(&copy, "user"), "zoe");
	assert_string_equal(identity_value(&copy, "claim.dept"), "x");
	assert_string_equal(identity_value(&copy, "claim.n"), "1");
	assert_null(identity_value(&copy, "claim.f"));
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
	    cmocka_unit_test(secrets),
	    cmocka_unit_test(public_keys_in_other_forms),
	    cmocka_unit_test(weak_keys),
	    cmocka_unit_test(jwk_sets),
	    cmocka_unit_test(jwk_sets_that_are_none),
	    cmocka_unit_test(tokens),
	    cmocka_unit_test(users_of_tokens),
	    cmocka_unit_test(rotation),
	    cmocka_unit_test(algorithms_by_default),
	    cmocka_unit_test(audience_and_issuer),
	    cmocka_unit_test(every_bit_counts),
	    cmocka_unit_test(shapes),
	    cmocka_unit_test(confusion),
	    cmocka_unit_test(several_algorithms),
	    cmocka_unit_test(public_keys),
	    cmocka_unit_test(tokens_of_our_own),
	    cmocka_unit_test(links),
	    cmocka_unit_test(what_links_say),
	    cmocka_unit_test(changed_links),
	    cmocka_unit_test(php_sessions),
	    cmocka_unit_test(identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
