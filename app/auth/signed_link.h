#ifndef SLUICE_AUTH_SIGNED_LINK_H
#define SLUICE_AUTH_SIGNED_LINK_H

/*
 * signed_link - a link that lets in whoever has it, for some time. It is the path and the query as
 * they are asked for, then "&signature=" and the HMAC-SHA-256 of all that stands before it, in
 * lower-case hexadecimal digits. The query has "expires=" in Unix seconds, and may have "user=" and
 * "may=publish"; without the latter the link allows only to read. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/keys.h"
#include "base/buf.h"

struct signed_link {
	int64_t expires;
	char *user; /* decoded, owned; NULL: it names no user */
	bool may_publish;
	const char *behind; /* the part of uri behind the signature, which nobody has signed:
			       "&x=1…", or "" */
};

/*
 * signed_link_check - uri is the path with its query, as the client asked for it. Returns 0 and
 * *link, the caller's; -ENOMEM; -EINVAL, and in *why (a constant) the rule that it breaks; -ENOENT:
 * it has no signature.
 */
int signed_link_check(struct signed_link *link, const char *uri, const struct auth_keys *keys,
		      int64_t now, const char **why);
void signed_link_fini(struct signed_link *link);

/* signed_link_put - append uri, which has its query with "expires=", and its signature by the first
 * of the keys. Returns 0, -ENOMEM, -EMSGSIZE. */
int signed_link_put(struct buf *b, const char *uri, const struct auth_keys *keys);

#endif
