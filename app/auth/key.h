#ifndef SLUICE_AUTH_KEY_H
#define SLUICE_AUTH_KEY_H

/*
 * key - what tokens are verified with: a secret of HMAC, or a public key. One key fits some
 * algorithms and no others, so no token can choose another use of it.
 */
#include <stdbool.h>
#include <stddef.h>

struct auth_key;

enum { AUTH_SECRET_MIN = 32 };

/*
 * auth_key_new - text is a PEM public key (RSA of 2048 bits or more, EC P-256, P-384 or P-521,
 * Ed25519), else a secret of at least AUTH_SECRET_MIN bytes; line ends behind it are not part of
 * it. Returns 0; -ENOMEM; -EINVAL with why.
 */
int auth_key_new(struct auth_key **out, const char *text, size_t len, char *why, size_t why_len);
void auth_key_free(struct auth_key *key); /* takes NULL */

/* auth_key_algorithm - the n-th that the key fits (RFC 7518, 3.1; RFC 8037, 3.1), the usual one
 * first; NULL past the last. */
const char *auth_key_algorithm(const struct auth_key *key, size_t n);

/* auth_key_verify - is it the text's signature by this algorithm, one that the key fits? */
bool auth_key_verify(const struct auth_key *key, const char *algorithm, const void *text,
		     size_t len, const void *signature, size_t signature_len);

/* auth_key_secret - the secret, borrowed; NULL for a public key. */
const char *auth_key_secret(const struct auth_key *key, size_t *len);

#endif
