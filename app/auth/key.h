#ifndef SLUICE_AUTH_KEY_H
#define SLUICE_AUTH_KEY_H

/*
 * key - what a token or link is verified with: an HMAC secret, or a public key. Each key fits some
 * algorithms and no others, so a token cannot have a key used in another way.
 */
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "auth/bytes.h"

struct auth_key;

enum { AUTH_SECRET_MIN = 32 };

/* auth_key_new_secret - of at least AUTH_SECRET_MIN bytes. Returns 0; -ENOMEM; -EINVAL with why. */
int auth_key_new_secret(struct auth_key **out, const void *secret, size_t len, char *why,
			size_t why_len);

/*
 * auth_key_new_public - RSA of 2048 bits or more, EC P-256, P-384 or P-521, Ed25519. Takes the
 * library's key, in any case. As auth_key_new_secret().
 */
int auth_key_new_public(struct auth_key **out, EVP_PKEY *public, char *why, size_t why_len);

/*
 * auth_key_name - sets what the key's owner says of it: its name, and the one algorithm that it is
 * for. Both are copied and may be NULL. Returns 0, -ENOMEM; -EINVAL: it does not fit this
 * algorithm.
 */
int auth_key_name(struct auth_key *key, const char *kid, const char *algorithm);
void auth_key_free(struct auth_key *key); /* takes NULL */

/* auth_key_has_name - by auth_key_name(). */
bool auth_key_has_name(const struct auth_key *key, const char *kid);
const char *auth_key_kid(const struct auth_key *key); /* NULL: it has none */

/* auth_key_algorithm - the n-th that the key fits (RFC 7518, 3.1; RFC 8037, 3.1), the usual one
 * first; NULL past the last. */
const char *auth_key_algorithm(const struct auth_key *key, size_t n);

/* auth_key_fits - can it verify by this algorithm? */
bool auth_key_fits(const struct auth_key *key, const char *algorithm);

/* auth_key_suits - is this the usual algorithm for the key, or the one that its owner names? */
bool auth_key_suits(const struct auth_key *key, const char *algorithm);

/*
 * auth_key_verify - is this the text's signature by this algorithm? Never, if the key does not fit
 * the algorithm.
 */
bool auth_key_verify(const struct auth_key *key, const char *algorithm, const void *text,
		     size_t len, const void *signature, size_t signature_len);

/* auth_key_sign - with a secret. Returns the signature's length; 0 if the library cannot. */
size_t auth_key_sign(const struct auth_key *key, const char *algorithm,
		     unsigned char out[BYTES_HMAC_MAX], const void *text, size_t len);

/* auth_key_secret - the secret, borrowed; NULL for a public key. */
const char *auth_key_secret(const struct auth_key *key, size_t *len);

#endif
