#ifndef SLUICE_AUTH_CREDENTIAL_H
#define SLUICE_AUTH_CREDENTIAL_H

/*
 * credential - the kinds of proof of who somebody is. A new one is a file with this table, and a
 * line in credentials[]: the configuration, its faults and what is logged read the words from here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "auth/settings.h"

/* What a credential comes to in one request. */
enum finding {
	FOUND_NONE,  /* the request has none of this kind */
	FOUND_RIGHT, /* it says who asks */
	FOUND_WRONG, /* it has one that is refused: no other is tried */
	FOUND_AWAY,  /* it cannot be decided now */
	FOUND_LATER  /* Redis is to be asked for the session that stands in the identity */
};

/* Why somebody is refused: the status of HTTP, and the rule that was broken, a constant. */
struct refusal {
	int status;
	const char *why;
};

/* What Redis says of a session. */
enum session_state {
	SESSION_THERE, /* with an identity */
	SESSION_NONE,  /* there is none, or it is none of ours: with a refusal */
	SESSION_AWAY,  /* Redis does not say */
	SESSION_ASKED  /* the answer comes later */
};

struct session_answer {
	enum session_state state;
	const struct identity *id; /* borrowed */
	struct refusal no;
};

/* What a credential may see of a request; whoever asks embeds it. */
struct asked {
	/* A variable of CGI; NULL: there is none. */
	const char *(*variable)(const struct asked *a, const char *name);
	/* A parameter of the query. */
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
	const char *word;  /* of the configuration: "jwt" */
	const char *shown; /* of answers and the log: "token" */
	/* What it needs of [auth] and is not there; NULL: nothing. */
	const char *(*missing)(const struct auth_settings *as);
	/* who is nobody at first, and the caller's in any case. */
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

/* credential_refuse - sets *no. Returns FOUND_WRONG. */
enum finding credential_refuse(struct refusal *no, int status, const char *why);

#endif
