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

#include "auth/key.h"
#include "base/buf.h"

enum { TOKEN_LEN_MAX = 8192, TOKEN_GRACE_S = 30 };

/* What a token must be. All but key may be NULL. */
struct token_settings {
	struct auth_key *key; /* NULL: there are no tokens */
	char **algorithms;    /* end with NULL; NULL: the first that the key fits */
	char *issuer, *audience;
	char *user_claim; /* "sub" */
};

struct token {
	struct json_object *claims; /* owned */
	const char *user;           /* of the claims */
	int64_t expires;            /* Unix seconds; 0: never */
};

/*
 * token_read - now in Unix seconds. Returns 0 and *token, the caller's; -ENOMEM; -EINVAL, and in
 * *why (a constant) the rule that it breaks.
 */
int token_read(struct token *token, const struct token_settings *settings, const char *text,
	       size_t len, int64_t now, const char **why);
void token_fini(struct token *token);

/* token_put - append a token of these claims, signed by HS256. Returns 0, -ENOMEM, -EMSGSIZE. */
int token_put(struct buf *b, const char *secret, size_t secret_len, struct json_object *claims);

#endif
