#include "auth/settings.h"

#include <stdlib.h>

#include "base/strings.h"
#include "logic/sandbox.h"

void
auth_settings_fini(struct auth_settings *settings)
{
	auth_key_free(settings->jwt.key);
	strings_free(settings->jwt.algorithms);
	free(settings->jwt.issuer);
	free(settings->jwt.audience);
	free(settings->jwt.user_claim);
	free(settings->jwt_cookie);
	free(settings->jwt_query);
	free(settings->jwt_channels);
	free(settings->session_cookie);
	template_free(settings->session_key);
	expression_free(settings->session_user);
	sandbox_free(settings->sandbox);
	auth_key_free(settings->link_key);
	free(settings->kick);
}
