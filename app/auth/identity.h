#ifndef SLUICE_AUTH_IDENTITY_H
#define SLUICE_AUTH_IDENTITY_H

/*
 * identity - who asks, as a credential has proven it.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

struct identity {
	char *user;                 /* owned; NULL: nobody */
	struct json_object *claims; /* an object, owned; NULL: there are none */
	char *session; /* the session cookie's value, owned; NULL: the credential was no session */
	int64_t expires;   /* Unix seconds; 0: never */
	bool is_token;     /* it comes from a token, whose claims may list channels */
	bool is_by_cookie; /* browsers send the credential by themselves, even for another site's
			      page */
};

/*
 * identity_value - the value of a name in templates ("user", "claim.NAME") or of Lua
 * (TEMPLATE_USER, TEMPLATE_CLAIMS…), borrowed from id, which may be empty. NULL: there is no value,
 * or the name is no such name. A claim has a value for templates if it is text without a NUL, or an
 * integer.
 */
const char *identity_value(const struct identity *id, const char *name);
bool identity_is_name(const char *name); /* is it such a name? */

/* identity_has_other - is it a claim of another type, which templates cannot use? */
bool identity_has_other(const struct identity *id, const char *name);

/* identity_copy - 0, -ENOMEM. */
int identity_copy(struct identity *to, const struct identity *from);
void identity_fini(struct identity *id); /* and it is nobody */

#endif
