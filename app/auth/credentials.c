/*
 * credentials.c - the table of all kinds, and the kind "none", which asks for nothing.
 */
#include "auth/credential.h"

/* "none" lets everybody in, without a name. */

static const char *
missing_nothing(const struct auth_settings *as)
{
	(void)as;
	return NULL;
}

static enum finding
find_anybody(const struct auth_settings *as, const struct asked *a, struct identity *who,
	     struct refusal *no)
{
	(void)as;
	(void)a;
	(void)who;
	(void)no;
	return FOUND_RIGHT;
}

const struct credential credential_none = {
    .word = "none",
    .shown = "",
    .missing = missing_nothing,
    .find = find_anybody,
};

const struct credential *const credentials[] = {
    &credential_none,   &credential_jwt,         &credential_session,
    &credential_signed, &credential_remote_user, NULL,
};
