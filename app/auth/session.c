/*
 * session.c - a cookie that names a session in Redis.
 */
#include <string.h>

#include "auth/cookie.h"
#include "auth/credential.h"

enum { COOKIE_MAX = 256 };

static enum finding
take(const struct session_answer *answer, struct identity *who, struct refusal *no)
{
	if (answer->state == SESSION_NONE)
		return credential_refuse(no, answer->no.status, answer->no.why);
	if (answer->state != SESSION_THERE || identity_copy(who, answer->id) < 0)
		return FOUND_AWAY;
	return FOUND_RIGHT;
}

/* The cookie keeps its rule before it becomes part of a key. */
static enum finding
find(const struct auth_settings *as, const struct asked *a, struct identity *who,
     struct refusal *no)
{
	char cookie[COOKIE_MAX + 1];
	int found =
	    cookie_find(a->variable(a, "HTTP_COOKIE"), as->session_cookie, cookie, COOKIE_MAX);

	if (found == 0)
		return FOUND_NONE;
	if (found < 0 || *cookie == '\0')
		return credential_refuse(no, 401,
					 "there are two cookies, or it is empty or too long");
	if (!a->keeps_rule(a, "cookie", cookie))
		return credential_refuse(no, 403, "the cookie breaks its rule, param.cookie");
	if (a->session != NULL)
		return take(a->session, who, no);
	return (who->session = strdup(cookie)) != NULL ? FOUND_LATER : FOUND_AWAY;
}

static const char *
missing(const struct auth_settings *as)
{
	return as->session_cookie == NULL || as->session_key == NULL
		   ? "session needs a session_cookie and a session_key in [auth]"
		   : NULL;
}

const struct credential credential_session = {
    .word = "session",
    .shown = "session",
    .missing = missing,
    .find = find,
};
