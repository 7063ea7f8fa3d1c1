#include "auth/key.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"

enum { RSA_BITS_MIN = 2048, DER_MAX = 160 };

static const char *const secret_algorithms[] = {"HS256", "HS384", "HS512", NULL};
static const char *const rsa_algorithms[] = {"RS256", "RS384", "RS512", NULL};
static const char *const p256_algorithms[] = {"ES256", NULL};
static const char *const p384_algorithms[] = {"ES384", NULL};
static const char *const p521_algorithms[] = {"ES512", NULL};
static const char *const ed_algorithms[] = {"EdDSA", NULL};

struct auth_key {
	const char *const *algorithms;
	const char *only; /* the one algorithm that it is for; NULL: all */
	char *kid;
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
	free(key->kid);
	free(key);
}

static int
complain(char *why, size_t why_len, const char *text)
{
	snprintf(why, why_len, "%s", text);
	return -EINVAL;
}

int
auth_key_new_secret(struct auth_key **out, const void *secret, size_t len, char *why,
		    size_t why_len)
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
	memcpy(key->secret, secret, len);
	key->len = len;
	key->algorithms = secret_algorithms;
	*out = key;
	return 0;
}

/* Returns NULL, and why, for a key that is too weak or of another kind. */
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

int
auth_key_new_public(struct auth_key **out, EVP_PKEY *public, char *why, size_t why_len)
{
	struct auth_key *key = calloc(1, sizeof(*key));

	if (key == NULL) {
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
auth_key_name(struct auth_key *key, const char *kid, const char *algorithm)
{
	const char *one;

	if (kid != NULL && (key->kid = strdup(kid)) == NULL)
		return -ENOMEM;
	if (algorithm == NULL)
		return 0;
	for (size_t n = 0; (one = auth_key_algorithm(key, n)) != NULL; n++) {
		if (strcmp(one, algorithm) == 0) {
			key->only = one;
			return 0;
		}
	}
	return -EINVAL;
}

const char *
auth_key_kid(const struct auth_key *key)
{
	return key->kid;
}

bool
auth_key_has_name(const struct auth_key *key, const char *kid)
{
	return kid != NULL && key->kid != NULL && strcmp(key->kid, kid) == 0;
}

const char *
auth_key_algorithm(const struct auth_key *key, size_t n)
{
	if (key->only != NULL)
		return n == 0 ? key->only : NULL;
	for (size_t i = 0; key->algorithms[i] != NULL; i++) {
		if (i == n)
			return key->algorithms[i];
	}
	return NULL;
}

bool
auth_key_fits(const struct auth_key *key, const char *algorithm)
{
	const char *one;

	for (size_t n = 0; (one = auth_key_algorithm(key, n)) != NULL; n++) {
		if (strcmp(one, algorithm) == 0)
			return true;
	}
	return false;
}

const char *
auth_key_secret(const struct auth_key *key, size_t *len)
{
	*len = key->len;
	return key->public == NULL ? key->secret : NULL;
}

bool
auth_key_suits(const struct auth_key *key, const char *algorithm)
{
	return strcmp(auth_key_algorithm(key, 0), algorithm) == 0;
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

/* In a token r and s stand one after the other (RFC 7518, 3.4); the library needs them in DER. */
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

size_t
auth_key_sign(const struct auth_key *key, const char *algorithm, unsigned char out[BYTES_HMAC_MAX],
	      const void *text, size_t len)
{
	return bytes_hmac(out, hash_bits(algorithm), key->secret, key->len, text, len);
}

bool
auth_key_verify(const struct auth_key *key, const char *algorithm, const void *text, size_t len,
		const void *signature, size_t signature_len)
{
	unsigned char mac[BYTES_HMAC_MAX];
	size_t mac_len;

	if (signature_len == 0)
		return false;
	if (key->public != NULL && EVP_PKEY_base_id(key->public) == EVP_PKEY_EC)
		return verify_ec(key->public, algorithm, text, len, signature, signature_len);
	if (key->public != NULL)
		return verify_public(key->public, algorithm, text, len, signature, signature_len);
	mac_len = auth_key_sign(key, algorithm, mac, text, len);
	return mac_len > 0 && bytes_equal(mac, mac_len, signature, signature_len);
}
