#ifndef SLUICE_AUTH_SIGNED_LINK_H
#define SLUICE_AUTH_SIGNED_LINK_H

/*
 * signed_link - a link that lets in whoever has it, for some time: the path and the query as they
 * are asked for, then "&signature=" and the HMAC-SHA-256 of all that stands before it, in small
 * hexadecimal digits. The query has "expires=" in Unix seconds, and may have "user=". Pure.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * signed_link_check - uri is the path with its query, as the client asked for it. Behind the
 * signature nothing may stand but last_event_id or lastEventId, which a client adds. Returns 0 and
 * *expires; -EINVAL, and in *why (a constant) the rule that it breaks; -ENOENT: it has no
 * signature.
 */
int signed_link_check(const char *uri, const char *secret, size_t secret_len, int64_t now,
		      int64_t *expires, const char **why);

/* signed_link_put - append uri, which has its query with "expires=", and its signature. Returns 0,
 * -ENOMEM, -EMSGSIZE. */
int signed_link_put(struct buf *b, const char *uri, const char *secret, size_t secret_len);

#endif
