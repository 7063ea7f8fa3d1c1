#ifndef SLUICE_AUTH_KEYS_H
#define SLUICE_AUTH_KEYS_H

/*
 * keys - the keys that are accepted, several while one replaces another: secrets, PEM public keys,
 * and the keys of a JWK set (RFC 7517). Pure.
 */
#include <json-c/json.h>

#include "auth/key.h"

enum { AUTH_KEYS_MAX = 32 };

struct auth_keys {
	struct auth_key *v[AUTH_KEYS_MAX];
	size_t n;
};

/* Where a text was found. A value in the configuration has one line, so it is a secret or a PEM. */
enum keys_place { KEYS_OF_FILE, KEYS_OF_VALUE };

/*
 * keys_add - what the text holds: a secret of one line, one PEM public key, or, in a file, a JWK or
 * a set of them; line ends behind it are not part of it. Whatever is a key in another form is
 * refused with the command that converts it: it must not become a secret that everybody knows.
 * Returns 0; -ENOMEM; -EINVAL with why.
 */
int keys_add(struct auth_keys *keys, const char *text, size_t len, enum keys_place place, char *why,
	     size_t why_len);
void keys_fini(struct auth_keys *keys); /* and there are none */

/* keys_fit - does any of them fit the algorithm? */
bool keys_fit(const struct auth_keys *keys, const char *algorithm);

/* keys_signer - the first that is a secret, which signs; NULL: none is. */
const struct auth_key *keys_signer(const struct auth_keys *keys);

/* keys_are_secrets - all of them. */
bool keys_are_secrets(const struct auth_keys *keys);

#endif
