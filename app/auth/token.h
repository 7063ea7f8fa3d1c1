#ifndef SLUICE_AUTH_TOKEN_H
#define SLUICE_AUTH_TOKEN_H

/*
 * token - a JSON Web Token: is it ours, is it valid now, and what does it say? Pure: the caller
 * passes the time. It is strict: a token has one spelling, and a claim occurs once.
 * Source: RFC 7519, RFC 7515, RFC 8725.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/keys.h"
#include "base/buf.h"

enum { TOKEN_LEN_MAX = 8192, TOKEN_GRACE_S = 30 };

/* What tokens are checked against. All but the keys may be NULL. */
struct token_settings {
	struct auth_keys keys; /* if there are none, no token is accepted */
	char **algorithms;     /* ends with NULL; NULL: the algorithms that suit the keys */
	char *issuer, *audience;
	char *user_claim; /* "sub" */
};

struct token {
	struct json_object *claims; /* owned */
	const char *user;           /* a string of the claims, or an integer's digits */
	int64_t expires;            /* Unix seconds, without the grace; 0: never */
};

/*
 * token_read - reads and verifies a token; now is in Unix seconds. A token's kid chooses among the
 * keys. If it has none, or no key is called so, all keys are tried that fit its algorithm.
 *
 * Returns 0 and *token, the caller's. In *why (a constant) stands the rule that it breaks: with
 * -EINVAL; or with -EPERM, if it is ours and valid, but names its user in a way that cannot be
 * used.
 */
int token_read(struct token *token, const struct token_settings *settings, const char *text,
	       size_t len, int64_t now, const char **why);
void token_fini(struct token *token);

/*
 * token_put - append a token of these claims, signed with the first of the keys that is a secret,
 * by the first algorithm that the settings allow it. Returns 0, -ENOMEM, -EMSGSIZE; -EINVAL: no key
 * signs.
 */
int token_put(struct buf *b, const struct token_settings *settings, struct json_object *claims);

#endif
