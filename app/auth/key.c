#include "auth/key.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"

#define PEM_BEGIN "-----BEGIN "

enum { RSA_BITS_MIN = 2048, PEM_MAX = 16 * 1024, CURVE_BYTES_MAX = 66, DER_MAX = 160 };

static const char *const secret_algorithms[] = {"HS256", "HS384", "HS512", NULL};
static const char *const rsa_algorithms[] = {"RS256", "RS384", "RS512", NULL};
static const char *const p256_algorithms[] = {"ES256", NULL};
static const char *const p384_algorithms[] = {"ES384", NULL};
static const char *const p521_algorithms[] = {"ES512", NULL};
static const char *const ed_algorithms[] = {"EdDSA", NULL};

struct auth_key {
	const char *const *algorithms;
	EVP_PKEY *public; /* NULL: a secret */
	size_t len;
	char secret[];
};

void
auth_key_free(struct auth_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->public);
	OPENSSL_cleanse(key->secret, key->len);
	free(key);
}

static int
complain(char *why, size_t why_len, const char *text)
{
	snprintf(why, why_len, "%s", text);
	return -EINVAL;
}

static int
new_secret(struct auth_key **out, const char *text, size_t len, char *why, size_t why_len)
{
	struct auth_key *key;

	if (len == 0)
		return complain(why, why_len, "the secret is empty: with it everybody could sign");
	if (len < AUTH_SECRET_MIN)
		return complain(why, why_len,
				"the secret has fewer than 32 bytes: openssl rand -hex 32 makes "
				"one");
	if ((key = calloc(1, sizeof(*key) + len + 1)) == NULL)
		return -ENOMEM;
	memcpy(key->secret, text, len);
	key->len = len;
	key->algorithms = secret_algorithms;
	*out = key;
	return 0;
}

/* NULL, and why, for a key that is too weak or of another kind. */
static const char *const *
algorithms_of(EVP_PKEY *public, char *why, size_t why_len)
{
	switch (EVP_PKEY_base_id(public)) {
	case EVP_PKEY_RSA:
		if (EVP_PKEY_bits(public) >= RSA_BITS_MIN)
			return rsa_algorithms;
		complain(why, why_len, "the RSA key has fewer than 2048 bits");
		return NULL;
	case EVP_PKEY_EC:
		if (EVP_PKEY_bits(public) == 256)
			return p256_algorithms;
		if (EVP_PKEY_bits(public) == 384)
			return p384_algorithms;
		if (EVP_PKEY_bits(public) == 521)
			return p521_algorithms;
		complain(why, why_len, "the curve is none of P-256, P-384, P-521");
		return NULL;
	case EVP_PKEY_ED25519:
		return ed_algorithms;
	default:
		complain(why, why_len, "the key is none of RSA, EC, Ed25519");
		return NULL;
	}
}

static EVP_PKEY *
read_pem(const char *text, size_t len)
{
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *public = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return public;
}

static int
new_public(struct auth_key **out, const char *text, size_t len, char *why, size_t why_len)
{
	const char *second = memmem(text + 1, len - 1, PEM_BEGIN, strlen(PEM_BEGIN));
	const char *eol = memchr(text, '\n', len);
	size_t line = eol != NULL ? (size_t)(eol - text) : len;
	struct auth_key *key;
	EVP_PKEY *public;

	if (len > PEM_MAX || second != NULL)
		return complain(why, why_len, "it holds more than one PEM: one public key alone");
	if (memmem(text, line, "PRIVATE", 7) != NULL)
		return complain(why, why_len,
				"it is a private key; what verifies is the public one: openssl "
				"pkey -pubout");
	if (memmem(text, line, "CERTIFICATE", 11) != NULL)
		return complain(why, why_len,
				"it is a certificate; what verifies is its public key: openssl "
				"x509 -pubkey -noout");
	if ((public = read_pem(text, len)) == NULL)
		return complain(why, why_len,
				"it is no PEM public key (-----BEGIN PUBLIC KEY-----)");
	if ((key = calloc(1, sizeof(*key))) == NULL) {
		EVP_PKEY_free(public);
		return -ENOMEM;
	}
	key->public = public;
	if ((key->algorithms = algorithms_of(public, why, why_len)) == NULL) {
		auth_key_free(key);
		return -EINVAL;
	}
	*out = key;
	return 0;
}

int
auth_key_new(struct auth_key **out, const char *text, size_t len, char *why, size_t why_len)
{
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len >= strlen(PEM_BEGIN) && memcmp(text, PEM_BEGIN, strlen(PEM_BEGIN)) == 0)
		return new_public(out, text, len, why, why_len);
	return new_secret(out, text, len, why, why_len);
}

const char *
auth_key_algorithm(const struct auth_key *key, size_t n)
{
	size_t i;

	for (i = 0; key->algorithms[i] != NULL; i++) {
		if (i == n)
			return key->algorithms[i];
	}
	return NULL;
}

const char *
auth_key_secret(const struct auth_key *key, size_t *len)
{
	*len = key->len;
	return key->public == NULL ? key->secret : NULL;
}

/* "HS256" → 256 */
static unsigned
hash_bits(const char *algorithm)
{
	return (unsigned)strtoul(algorithm + 2, NULL, 10);
}

static const EVP_MD *
hash_of(const char *algorithm)
{
	switch (hash_bits(algorithm)) {
	case 256:
		return EVP_sha256();
	case 384:
		return EVP_sha384();
	case 512:
		return EVP_sha512();
	default:
		return NULL; /* EdDSA hashes by itself */
	}
}

static bool
verify_public(EVP_PKEY *public, const char *algorithm, const void *text, size_t len,
	      const unsigned char *signature, size_t signature_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_ok = ctx != NULL &&
		     EVP_DigestVerifyInit(ctx, NULL, hash_of(algorithm), NULL, public) == 1 &&
		     EVP_DigestVerify(ctx, signature, signature_len, text, len) == 1;

	EVP_MD_CTX_free(ctx);
	return is_ok;
}

/* A token has r and s one after the other (RFC 7518, 3.4), the library wants them in DER. */
static bool
verify_ec(EVP_PKEY *public, const char *algorithm, const void *text, size_t len,
	  const unsigned char *signature, size_t signature_len)
{
	int half = (EVP_PKEY_bits(public) + 7) / 8, der_len = 0;
	unsigned char der[DER_MAX], *p = der;
	BIGNUM *r, *s;
	ECDSA_SIG *sig;

	if (signature_len != 2 * (size_t)half || (sig = ECDSA_SIG_new()) == NULL)
		return false;
	r = BN_bin2bn(signature, half, NULL);
	s = BN_bin2bn(signature + half, half, NULL);
	if (r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
		if (i2d_ECDSA_SIG(sig, NULL) <= DER_MAX)
			der_len = i2d_ECDSA_SIG(sig, &p);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(sig);
	return der_len > 0 && verify_public(public, algorithm, text, len, der, (size_t)der_len);
}

bool
auth_key_verify(const struct auth_key *key, const char *algorithm, const void *text, size_t len,
		const void *signature, size_t signature_len)
{
	unsigned char mac[BYTES_HMAC_MAX];
	size_t mac_len;

	if (key->public != NULL && EVP_PKEY_base_id(key->public) == EVP_PKEY_EC)
		return verify_ec(key->public, algorithm, text, len, signature, signature_len);
	if (key->public != NULL)
		return verify_public(key->public, algorithm, text, len, signature, signature_len);
	mac_len = bytes_hmac(mac, hash_bits(algorithm), key->secret, key->len, text, len);
	return mac_len > 0 && bytes_equal(mac, mac_len, signature, signature_len);
}
