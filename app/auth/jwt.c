/*
 * jwt.c - the credential "jwt": a token, in the header, in a cookie or in the query.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "auth/cookie.h"
#include "auth/credential.h"

/*
 * The token of the scheme "Bearer", in upper or lower case (RFC 9110, 11.1). Another scheme belongs
 * to somebody else.
 */
static const char *
bearer(const struct asked *a)
{
	const char *header = a->variable(a, "HTTP_AUTHORIZATION");

	return header != NULL && strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : NULL;
}

/*
 * Finds the token's text: first in the header, then in the cookie, then in the query. cookie has
 * room for one.
 */
static enum finding
find_text(const struct auth_settings *as, const struct asked *a, char *cookie, const char **text,
	  struct refusal *no)
{
	int found = 0;

	if ((*text = bearer(a)) != NULL)
		return FOUND_RIGHT;
	if (as->jwt_cookie != NULL)
		found = cookie_find(a->variable(a, "HTTP_COOKIE"), as->jwt_cookie, cookie,
				    TOKEN_LEN_MAX);
	if (found < 0)
		return credential_refuse(no, HTTP_UNAUTHORIZED,
					 "there are two cookies, or it is too long");
	if (found > 0)
		*text = cookie;
	else if (as->jwt_query != NULL)
		*text = a->query(a, as->jwt_query);
	return *text != NULL ? FOUND_RIGHT : FOUND_NONE;
}

static enum finding
find(const struct auth_settings *as, const struct asked *a, struct identity *who,
     struct refusal *no)
{
	char cookie[TOKEN_LEN_MAX + 1];
	const char *text = NULL, *why = "";
	struct token token;
	enum finding found;
	int rc;

	if ((found = find_text(as, a, cookie, &text, no)) != FOUND_RIGHT)
		return found;
	if ((rc = token_read(&token, &as->jwt, text, strlen(text), a->now, &why)) < 0)
		return credential_refuse(no, rc == -EPERM ? HTTP_FORBIDDEN : HTTP_UNAUTHORIZED,
					 why);
	*who = (struct identity){.user = strdup(token.user),
				 .claims = json_object_get(token.claims),
				 .expires = token.expires > 0 ? token.expires + TOKEN_GRACE_S : 0,
				 .is_token = true,
				 .is_by_cookie = text == cookie};
	token_fini(&token);
	return who->user != NULL ? FOUND_RIGHT : FOUND_AWAY;
}

static const char *
missing(const struct auth_settings *as)
{
	return as->jwt.keys.n == 0 ? "jwt needs a jwt_key_file or jwt_key in [auth]" : NULL;
}

const struct credential credential_jwt = {
    .word = "jwt",
    .shown = "token",
    .missing = missing,
    .find = find,
};
