/*
 * web_server.c - whom the web server has found out. Some servers pass on a name that nobody
 * checked; then they name no way of checking.
 */
#include <string.h>

#include "auth/credential.h"

static enum finding
find(const struct auth_settings *as, const struct asked *a, struct identity *who,
     struct refusal *no)
{
	const char *user = a->variable(a, "REMOTE_USER");

	(void)as;
	(void)no;
	if (user == NULL || a->variable(a, "AUTH_TYPE") == NULL)
		return FOUND_NONE;
	/* Browsers send a password or a certificate by themselves, too. What is no browser's says
	 * no Origin; a browser says it with each POST. */
	who->is_by_cookie = !a->is_post || a->variable(a, "HTTP_ORIGIN") != NULL;
	return (who->user = strdup(user)) != NULL ? FOUND_RIGHT : FOUND_AWAY;
}

static const char *
missing(const struct auth_settings *as)
{
	(void)as;
	return NULL;
}

const struct credential credential_remote_user = {
    .word = "remote_user",
    .shown = "user",
    .missing = missing,
    .find = find,
};
