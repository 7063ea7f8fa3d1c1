#ifndef SLUICE_AUTH_CREDENTIAL_H
#define SLUICE_AUTH_CREDENTIAL_H

/*
 * credential - the kinds of credentials: how a request proves who asks. A new kind is a file with
 * this table, and a line in credentials[]. The configuration, its faults and the log take their
 * words from here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/http.h>

#include "auth/identity.h"
#include "auth/settings.h"

/* What was found of one kind of credential in a request. */
enum finding {
	FOUND_NONE,  /* the request has no credential of this kind */
	FOUND_RIGHT, /* it says who asks */
	FOUND_WRONG, /* it has one that is refused; then no other kind is tried */
	FOUND_AWAY,  /* it cannot be decided now: Redis is away, or memory is short */
	FOUND_LATER  /* Redis must be asked for the session that stands in the identity */
};

/* Why a request is refused: the HTTP status, and the rule that was broken, a constant. */
struct refusal {
	int status;
	const char *why;
};

/* What Redis says of a session. */
enum session_state {
	SESSION_THERE, /* with an identity */
	SESSION_NONE,  /* with a refusal: there is no such session, or it cannot be read */
	SESSION_AWAY,  /* Redis does not say */
	SESSION_ASKED  /* the answer comes later */
};

struct session_answer {
	enum session_state state;
	const struct identity *id; /* borrowed */
	struct refusal no;
};

/* What a credential may see of a request. The caller embeds it. */
struct asked {
	/* The variable of CGI ("HTTP_AUTHORIZATION"); NULL: there is none. */
	const char *(*variable)(const struct asked *a, const char *name);
	/* The parameter of the query; NULL: there is none. */
	const char *(*query)(const struct asked *a, const char *name);
	/* Does the value keep the route's rule for this name ("user", "cookie")? */
	bool (*keeps_rule)(const struct asked *a, const char *name, const char *value);
	/* The n-th parameter that the route names; NULL past the last. */
	const char *(*named)(const struct asked *a, size_t n);
	bool is_post, is_publishing;
	int64_t now;                          /* Unix seconds */
	const struct session_answer *session; /* NULL: Redis was not asked yet */
};

struct credential {
	const char *word;  /* the word of auth = in the configuration: "jwt" */
	const char *shown; /* what answers and the log call it: "token" */
	/* What the kind needs of [auth] that is not there, a sentence; NULL: nothing is missing. */
	const char *(*missing)(const struct auth_settings *as);
	/*
	 * Looks for the credential. who is empty at first; the caller frees it, whatever is
	 * returned. no is set with FOUND_WRONG.
	 */
	enum finding (*find)(const struct auth_settings *as, const struct asked *a,
			     struct identity *who, struct refusal *no);
};

extern const struct credential *const credentials[]; /* ends with NULL */

/* The kinds, one file each. */
extern const struct credential credential_none;
extern const struct credential credential_jwt;
extern const struct credential credential_session;
extern const struct credential credential_signed;
extern const struct credential credential_remote_user;

/* credential_refuse - sets *no and returns FOUND_WRONG. */
enum finding credential_refuse(struct refusal *no, int status, const char *why);

#endif
