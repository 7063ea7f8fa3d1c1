/*
 * remote_user.c - the credential "remote_user": the web server has checked who asks, and says so in
 * REMOTE_USER. Some servers pass on a name that nobody checked; those set no AUTH_TYPE, so without
 * AUTH_TYPE the name does not count.
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
	/*
	 * A browser sends a password or a certificate by itself, as it does with a cookie. It also
	 * sends an Origin with each POST, so a POST without one comes from another program.
	 */
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
