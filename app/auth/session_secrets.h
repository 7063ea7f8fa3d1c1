#ifndef SLUICE_AUTH_SESSION_SECRETS_H
#define SLUICE_AUTH_SESSION_SECRETS_H

/*
 * session_secrets - the secrets that a site signs its sessions with, one a line: the new one and
 * the old one, while one replaces the other. Pure.
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
 * session_secrets_add - adds the lines of a file; empty lines and line ends do not count. Returns
 * 0; -ENOMEM; -EINVAL with why, a constant.
 */
int session_secrets_add(struct session_secrets *secrets, const char *text, size_t len,
			const char **why);
void session_secrets_fini(struct session_secrets *secrets); /* and there are none */

#endif
