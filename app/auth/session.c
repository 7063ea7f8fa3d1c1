/*
 * session.c - the credential "session": a cookie that names a session in Redis.
 */
#include <errno.h>
#include <string.h>

#include "auth/cookie.h"
#include "auth/credential.h"

static enum finding
take(const struct session_answer *answer, struct identity *who, struct refusal *no)
{
	if (answer->state == SESSION_NONE)
		return credential_refuse(no, answer->no.status, answer->no.why);
	if (answer->state != SESSION_THERE || identity_copy(who, answer->id) < 0)
		return FOUND_AWAY;
	return FOUND_RIGHT;
}

/*
 * Finds what the session is looked up by, the caller's: the name that the site's signature proves,
 * or the cookie itself, if it is the session.
 */
static enum finding
open_cookie(const struct auth_settings *as, const char *cookie, int64_t now, char **name,
	    struct refusal *no)
{
	const struct session_format *format = as->session_format;
	struct buf text;
	const char *why;
	int rc;

	if (format->open == NULL)
		return (*name = strdup(cookie)) != NULL ? FOUND_LATER : FOUND_AWAY;
	buf_init(&text, SESSION_PLAIN_MAX);
	rc = format->open(&as->session_secrets,
			  &(struct session_cookie){as->session_cookie, cookie, now}, &text, &why);
	if (rc == 0)
		*name = format->is_whole ? strdup(cookie) : strndup(text.p, text.len);
	buf_fini(&text);
	if (rc == -EINVAL)
		return credential_refuse(no, HTTP_UNAUTHORIZED, why);
	return *name != NULL ? FOUND_LATER : FOUND_AWAY;
}

/* The name must keep the rule of "cookie" before it becomes part of a key in Redis. */
static enum finding
find(const struct auth_settings *as, const struct asked *a, struct identity *who,
     struct refusal *no)
{
	char cookie[SESSION_COOKIE_MAX + 1];
	int found = cookie_find(a->variable(a, "HTTP_COOKIE"), as->session_cookie, cookie,
				as->session_format->cookie_max);
	enum finding finding;

	if (found == 0)
		return FOUND_NONE;
	if (found < 0 || *cookie == '\0')
		return credential_refuse(no, HTTP_UNAUTHORIZED,
					 "there are two cookies, or it is empty or too long");
	if ((finding = open_cookie(as, cookie, a->now, &who->session, no)) != FOUND_LATER)
		return finding;
	if (!as->session_format->is_whole && !a->keeps_rule(a, "cookie", who->session))
		return credential_refuse(no, HTTP_FORBIDDEN,
					 "the cookie breaks its rule, param.cookie");
	if (a->session == NULL)
		return FOUND_LATER;
	identity_fini(who);
	return take(a->session, who, no);
}

static const char *
missing(const struct auth_settings *as)
{
	if (as->session_format != NULL && as->session_format->is_whole)
		return as->session_cookie == NULL ? "session needs a session_cookie in [auth]"
						  : NULL;
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
