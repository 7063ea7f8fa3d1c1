#ifndef SLUICE_AUTH_JWK_H
#define SLUICE_AUTH_JWK_H

/*
 * jwk - JSON Web Keys, as identity providers publish them. Pure.
 * Source: RFC 7517; RFC 7518, 6; RFC 8037, 2.
 */
#include "auth/keys.h"

/*
 * jwk_add - what the text has: one key, or {"keys":[…]}. Those for other uses than signatures, and
 * of kinds that we do not know, are passed over (RFC 7517, 5), if one is left. As keys_add().
 */
int jwk_add(struct auth_keys *keys, const char *text, size_t len, char *why, size_t why_len);

#endif
