#ifndef SLUICE_AUTH_JWK_H
#define SLUICE_AUTH_JWK_H

/*
 * jwk - JSON Web Keys, as identity providers publish them. Pure.
 * Source: RFC 7517; RFC 7518, 6; RFC 8037, 2.
 */
#include "auth/keys.h"

/*
 * jwk_add - adds the keys of the text: one key, or {"keys":[…]}. Keys for other uses than
 * signatures, and of unknown kinds, are passed over (RFC 7517, 5), if at least one is left. Returns
 * as keys_add().
 */
int jwk_add(struct auth_keys *keys, const char *text, size_t len, char *why, size_t why_len);

#endif
