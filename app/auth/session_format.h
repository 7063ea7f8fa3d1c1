#ifndef SLUICE_AUTH_SESSION_FORMAT_H
#define SLUICE_AUTH_SESSION_FORMAT_H

/*
 * session_format - how a site writes its sessions: what its cookie says, and what Redis keeps of
 * one. A new format is a file with this table, and a line in session_formats[]. Pure.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/session_secrets.h"
#include "base/buf.h"

/*
 * The longest cookie that a browser keeps; the longest session that one may hold, decompressed; and
 * the longest session in Redis.
 */
enum { SESSION_COOKIE_MAX = 4096, SESSION_PLAIN_MAX = 64 * 1024, SESSION_TEXT_MAX = 1024 * 1024 };

/* A cookie as it came, decoded, and the time at which it came. */
struct session_cookie {
	const char *name, *value;
	int64_t now;
};

struct session_format {
	const char *name;
	/*
	 * Proves the cookie by the site's secrets. It appends the session's name, or the session
	 * itself if the cookie is all of it, without a NUL. Returns 0; -ENOMEM; -EINVAL with why, a
	 * constant. NULL: the cookie is the name, and nothing is signed.
	 */
	int (*open)(const struct session_secrets *secrets, const struct session_cookie *cookie,
		    struct buf *out, const char **why);
	/* Why the format cannot use a secret, a constant; NULL: it can use any. */
	const char *(*secret_fault)(const struct session_secret *secret);
	bool is_whole; /* the cookie is the whole session, and Redis has none */
	/*
	 * Reads the session's text, which has a NUL behind it. Returns JSON of any type, the
	 * caller's; NULL: it is no session.
	 */
	struct json_object *(*read)(const char *text, size_t len);
	const char *unread; /* the reason then */
	bool is_hash;       /* Redis may also keep it as a hash */
	size_t cookie_max;
};

extern const struct session_format *const session_formats[]; /* ends with NULL */

extern const struct session_format session_format_auto;
extern const struct session_format session_format_express;
extern const struct session_format session_format_django;
extern const struct session_format session_format_flask;
extern const struct session_format session_format_laravel;

#endif
