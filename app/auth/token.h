#ifndef SLUICE_AUTH_TOKEN_H
#define SLUICE_AUTH_TOKEN_H

/*
 * token - a JSON Web Token: is it ours, is it valid now, and what does it say? Pure but for the
 * caller's clock. Strict: a token has one spelling, and a claim stands in it once.
 * Source: RFC 7519, RFC 7515, RFC 8725.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/keys.h"
#include "base/buf.h"

enum { TOKEN_LEN_MAX = 8192, TOKEN_GRACE_S = 30 };

/* What a token must be. All but the keys may be NULL. */
struct token_settings {
	struct auth_keys keys; /* without any there are no tokens */
	char **algorithms;     /* end with NULL; NULL: those that suit the keys */
	char *issuer, *audience;
	char *user_claim; /* "sub" */
};

struct token {
	struct json_object *claims; /* owned */
	const char *user;           /* of the claims; an integer's digits */
	int64_t expires;            /* Unix seconds, without the grace; 0: never */
};

/*
 * token_read - now in Unix seconds. A token's kid chooses among the keys; if it has none, or none
 * of them is called so, all are tried that its algorithm fits. Returns 0 and *token, the caller's;
 * and in *why (a constant) the rule that it breaks with -EINVAL, or with -EPERM: it is ours and
 * valid, but names its user in a way that cannot be taken.
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
