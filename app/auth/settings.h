#ifndef SLUICE_AUTH_SETTINGS_H
#define SLUICE_AUTH_SETTINGS_H

/*
 * settings - the [auth] section, compiled: what counts as a credential.
 */
#include "auth/key.h"
#include "auth/session_format.h"
#include "auth/token.h"
#include "logic/expression.h"
#include "logic/template.h"

enum { AUTH_DIGEST = 32 };

struct auth_settings {
	struct token_settings jwt;
	char *jwt_cookie, *jwt_query; /* NULL: no token comes that way */
	char *jwt_channels;           /* the claim that lists channels; NULL: there is none */
	char *session_cookie;
	const struct session_format *session_format; /* one of session_formats[] */
	struct session_secrets session_secrets;
	struct template *session_key; /* of {cookie} */
	struct sandbox *sandbox;
	struct expression *session_user; /* NULL: a session does not name a user */
	struct auth_keys link_keys;      /* secrets; if there are none, links are not accepted */
	unsigned reauth_ms;              /* how often a session is looked at again; 0: never */
	char *kick;                      /* the channel; NULL: no message ends streams */
	/* of all that the section says, and of the bytes of keys */
	unsigned char digest[AUTH_DIGEST];
};

/* auth_settings_note - adds this to the digest. */
void auth_settings_note(struct auth_settings *settings, const void *p, size_t len);

void auth_settings_fini(struct auth_settings *settings);

#endif
