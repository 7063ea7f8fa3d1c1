#include "auth/jwk.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"
#include "logic/message.h"

enum { NUMBER_MAX = 2048, POINT_MAX = 2 * 66 + 1 };

#define REFUSE(...) (snprintf(why, why_len, __VA_ARGS__), -EINVAL)

/* A member in base64url, appended. */
static bool
get_bytes(struct json_object *jwk, const char *name, struct buf *b)
{
	const char *text = json_text(jwk, name);

	return text != NULL && *text != '\0' &&
	       bytes_decode_base64url(b, text, strlen(text)) == 0 && b->len > 0;
}

/* Returns the library's key with these parameters; NULL: they make none. Frees the builder. */
static EVP_PKEY *
build(const char *kind, OSSL_PARAM_BLD *bld, bool is_whole)
{
	OSSL_PARAM *params = is_whole ? OSSL_PARAM_BLD_to_param(bld) : NULL;
	EVP_PKEY_CTX *ctx = params != NULL ? EVP_PKEY_CTX_new_from_name(NULL, kind, NULL) : NULL;
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

static BIGNUM *
get_number(struct json_object *jwk, const char *name)
{
	BIGNUM *n = NULL;
	struct buf b;

	buf_init(&b, NUMBER_MAX);
	if (get_bytes(jwk, name, &b))
		n = BN_bin2bn((unsigned char *)b.p, (int)b.len, NULL);
	buf_fini(&b);
	return n;
}

static EVP_PKEY *
read_rsa(struct json_object *jwk)
{
	BIGNUM *n = get_number(jwk, "n"), *e = get_number(jwk, "e");
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey;

	pkey = build("RSA", bld,
		     bld != NULL && n != NULL && e != NULL &&
			 OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
			 OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1);
	BN_free(n);
	BN_free(e);
	return pkey;
}

/* The two coordinates of a point, each as long as the curve says (RFC 7518, 6.2.1.2). */
static EVP_PKEY *
read_ec(struct json_object *jwk)
{
	static const struct {
		const char *name;
		size_t half;
	} curves[] = {{"P-256", 32}, {"P-384", 48}, {"P-521", 66}};
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *pkey = NULL;
	struct buf point;
	size_t i = 0;

	while (i < 3 && !json_is(jwk, "crv", curves[i].name))
		i++;
	buf_init(&point, POINT_MAX);
	if (i < 3 && buf_putc(&point, 4) == 0 && get_bytes(jwk, "x", &point) &&
	    point.len == 1 + curves[i].half && get_bytes(jwk, "y", &point) &&
	    point.len == 1 + 2 * curves[i].half && (bld = OSSL_PARAM_BLD_new()) != NULL)
		pkey = build("EC", bld,
			     OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
							     curves[i].name, 0) == 1 &&
				 OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
								  point.p, point.len) == 1);
	buf_fini(&point);
	return pkey;
}

static EVP_PKEY *
read_okp(struct json_object *jwk)
{
	EVP_PKEY *pkey = NULL;
	struct buf b;

	buf_init(&b, NUMBER_MAX);
	if (json_is(jwk, "crv", "Ed25519") && get_bytes(jwk, "x", &b))
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (unsigned char *)b.p,
						   b.len);
	buf_fini(&b);
	return pkey;
}

static int
add_secret(struct auth_key **out, struct json_object *jwk, char *why, size_t why_len)
{
	struct buf secret;
	int rc;

	buf_init(&secret, NUMBER_MAX);
	rc = get_bytes(jwk, "k", &secret)
		 ? auth_key_new_secret(out, secret.p, secret.len, why, why_len)
		 : REFUSE("a JWK of kty oct has no k in base64url");
	buf_fini(&secret);
	return rc;
}

/* Is it for signatures? It is, if it says nothing else (RFC 7517, 4.2, 4.3). */
static bool
is_for_signatures(struct json_object *jwk)
{
	struct json_object *ops;
	size_t i, n;

	if (json_text(jwk, "use") != NULL)
		return json_is(jwk, "use", "sig");
	if (!json_object_object_get_ex(jwk, "key_ops", &ops) ||
	    !json_object_is_type(ops, json_type_array))
		return true;
	for (i = 0, n = json_object_array_length(ops); i < n; i++) {
		const char *op = json_object_get_string(json_object_array_get_idx(ops, i));

		if (op != NULL && strcmp(op, "verify") == 0)
			return true;
	}
	return false;
}

static const struct {
	const char *kty;
	EVP_PKEY *(*read)(struct json_object *jwk); /* NULL: it is a secret */
} kinds[] = {{"RSA", read_rsa}, {"EC", read_ec}, {"OKP", read_okp}, {"oct", NULL}};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Others of a set may be of a curve that verifies nothing here, as secp256k1 (RFC 7517, 5). */
static bool
is_of_unknown_curve(struct json_object *jwk)
{
	static const char *const known[] = {"P-256", "P-384", "P-521", "Ed25519"};
	const size_t n = sizeof(known) / sizeof(known[0]);
	size_t i = 0;

	if (json_text(jwk, "crv") == NULL)
		return false;
	while (i < n && !json_is(jwk, "crv", known[i]))
		i++;
	return i == n;
}

/* 1: it is passed over. */
static int
read_one(struct auth_key **out, struct json_object *jwk, char *why, size_t why_len)
{
	EVP_PKEY *pkey;
	size_t i = 0;

	while (i < N_KINDS && !json_is(jwk, "kty", kinds[i].kty))
		i++;
	if (i == N_KINDS || !is_for_signatures(jwk))
		return 1;
	if (kinds[i].read == NULL)
		return add_secret(out, jwk, why, why_len);
	if (json_object_object_get_ex(jwk, "d", NULL))
		return REFUSE("it holds a private key (d); what verifies is the public part: jq "
			      "'(.keys[]?, .) |= del(.d,.p,.q,.dp,.dq,.qi)' FILE > keys.json");
	if ((pkey = kinds[i].read(jwk)) == NULL)
		return REFUSE("a JWK of kty %s is none: its numbers or its curve are wrong",
			      kinds[i].kty);
	return auth_key_new_public(out, pkey, why, why_len);
}

static int
add_one(struct auth_keys *keys, struct json_object *jwk, char *why, size_t why_len)
{
	struct auth_key *key = NULL;
	int rc = read_one(&key, jwk, why, why_len);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	/*
	 * A key whose algorithm is none that we use for its kind (RSA-OAEP, PS256) is passed over,
	 * too.
	 */
	if ((rc = auth_key_name(key, json_text(jwk, "kid"), json_text(jwk, "alg"))) < 0) {
		auth_key_free(key);
		return rc == -EINVAL ? 0 : rc;
	}
	if (keys->n == AUTH_KEYS_MAX) {
		auth_key_free(key);
		return REFUSE("there are more than %d keys", AUTH_KEYS_MAX);
	}
	keys->v[keys->n++] = key;
	return 0;
}

static int
add_all(struct auth_keys *keys, struct json_object *list, char *why, size_t why_len)
{
	int rc = 0;

	if (!json_object_is_type(list, json_type_array))
		return REFUSE("its \"keys\" is no list");
	for (size_t i = 0; rc == 0 && i < json_object_array_length(list); i++) {
		struct json_object *jwk = json_object_array_get_idx(list, i);

		if (!is_of_unknown_curve(jwk))
			rc = add_one(keys, jwk, why, why_len);
	}
	return rc;
}

/* text ends with a NUL, as the parser wants it. */
static int
add_text(struct auth_keys *keys, const char *text, char *why, size_t why_len)
{
	struct json_object *set, *list;
	struct message msg;
	int rc;

	message_init(&msg, "", 0, text, strlen(text));
	set = message_json(&msg);
	if (!json_object_is_type(set, json_type_object) || !message_has_unique_names(&msg))
		rc = REFUSE("it begins as JSON, but is no JWK and no set of them");
	else if (json_object_object_get_ex(set, "keys", &list))
		rc = add_all(keys, list, why, why_len);
	else if (json_object_object_get_ex(set, "jwks_uri", NULL))
		rc = REFUSE("it only says where the keys are: curl -fsS \"$(jq -r .jwks_uri "
			    "FILE)\" > keys.json");
	else
		rc = add_one(keys, set, why, why_len);
	message_fini(&msg);
	return rc;
}

int
jwk_add(struct auth_keys *keys, const char *text, size_t len, char *why, size_t why_len)
{
	char *copy = strndup(text, len);
	size_t n = keys->n;
	int rc = copy != NULL ? add_text(keys, copy, why, why_len) : -ENOMEM;

	free(copy);
	if (rc == 0 && keys->n == n)
		return REFUSE("it holds no JWK that verifies signatures: RSA, EC, OKP or oct, with "
			      "one of the algorithms that jwt_algorithms knows");
	return rc;
}
