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
	struct json_object *claims; /* an object, owned; NULL: none */
	char *session;              /* the cookie's value, owned; NULL: by no session */
	int64_t expires;            /* Unix seconds; 0: never */
	bool is_token;              /* by a token, whose claims may name its channels */
	bool is_by_cookie;          /* a browser sends it by itself, whoever's page asks */
};

/*
 * identity_value - what stands for a name of templates ("user", "claim.NAME") or of Lua
 * (TEMPLATE_USER, TEMPLATE_CLAIMS…): borrowed from id, which may be nobody. NULL: there is none, or
 * the name is no such name. A claim stands in a template if it is text without a NUL, or an
 * integer.
 */
const char *identity_value(const struct identity *id, const char *name);
bool identity_is_name(const char *name); /* is it such a name? */

/* identity_has_other - is it a claim of another type, for which nothing stands in a template? */
bool identity_has_other(const struct identity *id, const char *name);

/* identity_copy - 0, -ENOMEM. */
int identity_copy(struct identity *to, const struct identity *from);
void identity_fini(struct identity *id); /* and it is nobody */

#endif
