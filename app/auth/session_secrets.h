#ifndef SLUICE_AUTH_SESSION_SECRETS_H
#define SLUICE_AUTH_SESSION_SECRETS_H

/*
 * session_secrets - those that a site signs its sessions with: one a line, the new and the old
 * while one takes the other's place. Pure.
 */
#include <stddef.h>

enum { SESSION_SECRETS_MAX = 8, SESSION_SECRET_MIN = 16, SESSION_SECRET_MAX = 1024 };

struct session_secret {
	char *p;
	size_t len;
};

struct session_secrets {
	struct session_secret v[SESSION_SECRETS_MAX];
	size_t n;
};

/*
 * session_secrets_add - the lines of a file, which are not empty; what ends a line is no part of
 * it. Returns 0; -ENOMEM; -EINVAL with why, a constant.
 */
int session_secrets_add(struct session_secrets *secrets, const char *text, size_t len,
			const char **why);
void session_secrets_fini(struct session_secrets *secrets); /* and there are none */

#endif
