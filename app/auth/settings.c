#include "auth/settings.h"

#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"
#include "base/strings.h"
#include "logic/sandbox.h"

void
auth_settings_note(struct auth_settings *settings, const void *p, size_t len)
{
	unsigned char mac[BYTES_HMAC_MAX];

	/* The digests form a chain: the digest so far is the key. */
	if (bytes_hmac(mac, 256, settings->digest, AUTH_DIGEST, p, len) == AUTH_DIGEST)
		memcpy(settings->digest, mac, AUTH_DIGEST);
}

void
auth_settings_fini(struct auth_settings *settings)
{
	keys_fini(&settings->jwt.keys);
	strings_free(settings->jwt.algorithms);
	free(settings->jwt.issuer);
	free(settings->jwt.audience);
	free(settings->jwt.user_claim);
	free(settings->jwt_cookie);
	free(settings->jwt_query);
	free(settings->jwt_channels);
	free(settings->session_cookie);
	session_secrets_fini(&settings->session_secrets);
	template_free(settings->session_key);
	expression_free(settings->session_user);
	sandbox_free(settings->sandbox);
	keys_fini(&settings->link_keys);
	free(settings->kick);
}
