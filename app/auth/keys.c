#include "auth/keys.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "auth/jwk.h"
#include "auth/key_form.h"

#define PEM_BEGIN   "-----BEGIN "

#define REFUSE(...) (snprintf(why, why_len, __VA_ARGS__), -EINVAL)

enum { PEM_MAX = 16 * 1024 };

void
keys_fini(struct auth_keys *keys)
{
	while (keys->n > 0)
		auth_key_free(keys->v[--keys->n]);
}

static EVP_PKEY *
parse_pem(const char *text, size_t len)
{
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *public = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return public;
}

static int
read_pem(struct auth_key **out, const char *text, size_t len, char *why, size_t why_len)
{
	const char *first = memmem(text, len, PEM_BEGIN, strlen(PEM_BEGIN));
	const char *behind = first + strlen(PEM_BEGIN);
	size_t rest = len - (size_t)(behind - text);
	EVP_PKEY *public;

	if (len > PEM_MAX || memmem(behind, rest, PEM_BEGIN, strlen(PEM_BEGIN)) != NULL)
		return REFUSE("it holds more than one PEM: one public key alone, and a file for "
			      "each");
	if (memmem(text, len, "\\n", 2) != NULL && memchr(text, '\n', len) == NULL)
		return REFUSE("it is a PEM whose line ends are written \\n: printf '%%b\\n' "
			      "\"TEXT\" > key.pem, which jwt_key_file names");
	if ((public = parse_pem(text, len)) == NULL)
		return REFUSE("it is no PEM public key (-----BEGIN PUBLIC KEY-----, with line "
			      "ends)");
	return auth_key_new_public(out, public, why, why_len);
}

static int
add(struct auth_keys *keys, struct auth_key *key, char *why, size_t why_len)
{
	if (keys->n == AUTH_KEYS_MAX) {
		auth_key_free(key);
		return REFUSE("there are more than %d keys", AUTH_KEYS_MAX);
	}
	keys->v[keys->n++] = key;
	return 0;
}

int
keys_add(struct auth_keys *keys, const char *text, size_t len, enum keys_place place, char *why,
	 size_t why_len)
{
	struct auth_key *key = NULL;
	const char *advice;
	size_t n_ends = 0;
	int rc;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
		len--;
		n_ends++;
	}
	if (place == KEYS_OF_FILE && key_form_is_json(text, len))
		return jwk_add(keys, text, len, why, why_len);
	if (len > 0 && (advice = key_form_advice(text, len, n_ends)) != NULL)
		return REFUSE("%s", advice);
	if (key_form_is_pem(text, len))
		rc = read_pem(&key, text, len, why, why_len);
	else
		rc = auth_key_new_secret(&key, text, len, why, why_len);
	return rc < 0 ? rc : add(keys, key, why, why_len);
}

bool
keys_fit(const struct auth_keys *keys, const char *algorithm)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (auth_key_fits(keys->v[i], algorithm))
			return true;
	}
	return false;
}

const struct auth_key *
keys_signer(const struct auth_keys *keys)
{
	size_t len;

	for (size_t i = 0; i < keys->n; i++) {
		if (auth_key_secret(keys->v[i], &len) != NULL)
			return keys->v[i];
	}
	return NULL;
}

bool
keys_are_secrets(const struct auth_keys *keys)
{
	size_t len;

	for (size_t i = 0; i < keys->n; i++) {
		if (auth_key_secret(keys->v[i], &len) == NULL)
			return false;
	}
	return true;
}
