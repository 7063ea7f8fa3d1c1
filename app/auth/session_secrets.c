#include "auth/session_secrets.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const char *
fault_of(const char *line, size_t len)
{
	if (memchr(line, '\0', len) != NULL)
		return "it holds a NUL";
	if (*line == ' ' || *line == '\t' || line[len - 1] == ' ' || line[len - 1] == '\t')
		return "a line begins or ends with a blank, which others may or may not take for a "
		       "part of it";
	if (len < SESSION_SECRET_MIN)
		return "a secret of fewer than 16 bytes can be guessed";
	if (len > SESSION_SECRET_MAX)
		return "a line is longer than 1024 bytes";
	return NULL;
}

static int
add_line(struct session_secrets *secrets, const char *line, size_t len, const char **why)
{
	struct session_secret *secret = &secrets->v[secrets->n];

	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len == 0)
		return 0;
	if ((*why = fault_of(line, len)) != NULL)
		return -EINVAL;
	if (secrets->n == SESSION_SECRETS_MAX) {
		*why = "there are more than 8 lines";
		return -EINVAL;
	}
	if ((secret->p = malloc(len)) == NULL)
		return -ENOMEM;
	memcpy(secret->p, line, len);
	secret->len = len;
	secrets->n++;
	return 0;
}

int
session_secrets_add(struct session_secrets *secrets, const char *text, size_t len, const char **why)
{
	const char *end = text + len, *stop;
	int rc = 0;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		*why = "it begins with a byte order mark, which others may or may not take for a "
		       "part of the secret";
		return -EINVAL;
	}
	for (; text < end && rc == 0; text = stop + 1) {
		stop = memchr(text, '\n', (size_t)(end - text));
		if (stop == NULL)
			stop = end;
		rc = add_line(secrets, text, (size_t)(stop - text), why);
	}
	if (rc == 0 && secrets->n == 0) {
		*why = "it is empty";
		return -EINVAL;
	}
	return rc;
}

void
session_secrets_fini(struct session_secrets *secrets)
{
	for (size_t i = 0; i < secrets->n; i++) {
		OPENSSL_cleanse(secrets->v[i].p, secrets->v[i].len);
		free(secrets->v[i].p);
	}
	secrets->n = 0;
}
