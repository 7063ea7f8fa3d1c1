/*
 * fuzz_credential.c - tokens, signed links, sessions, their cookies and keys, as whoever may send
 * or store them.
 *
 * The first byte chooses. No token and no link is ever taken: the secret is nowhere in the input. A
 * session that is read can be written as JSON.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/keys.h"
#include "auth/php_session.h"
#include "auth/session_format.h"
#include "auth/signed_link.h"
#include "auth/token.h"

#define SECRET "a secret that is not in the input"
/* The second is a key of Laravel's, too. */
#define COOKIE_SECRETS SECRET "\n0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_token(const char *text, size_t len)
{
	static struct token_settings settings = {.user_claim = (char *)"sub"};
	struct token token;
	char why_not[128];
	const char *why;

	if (settings.keys.n == 0)
		assert(keys_add(&settings.keys, SECRET, strlen(SECRET), KEYS_OF_VALUE, why_not,
				sizeof(why_not)) == 0);
	assert(token_read(&token, &settings, text, len, 1000000, &why) < 0);
	assert(why != NULL && *why != '\0');
}

static void
check_link(const char *text)
{
	static struct auth_keys keys;
	struct signed_link link;
	char why_not[128];
	const char *why;

	if (keys.n == 0)
		assert(keys_add(&keys, SECRET, strlen(SECRET), KEYS_OF_VALUE, why_not,
				sizeof(why_not)) == 0);
	assert(signed_link_check(&link, text, &keys, 1000000, &why) < 0);
	signed_link_fini(&link);
}

static void
check_session(const char *text, size_t len)
{
	struct json_object *session = php_session_parse(text, len);

	if (session == NULL)
		return;
	assert(json_object_is_type(session, json_type_object));
	assert(json_object_to_json_string(session) != NULL);
	json_object_put(session);
}

/* Nothing is signed by a secret that is not there. */
static void
check_cookie(const char *text)
{
	static struct session_secrets secrets;
	const char *why;
	struct buf b;

	if (secrets.n == 0)
		assert(session_secrets_add(&secrets, COOKIE_SECRETS, strlen(COOKIE_SECRETS),
					   &why) == 0);
	for (size_t i = 0; session_formats[i] != NULL; i++) {
		if (session_formats[i]->open == NULL)
			continue;
		buf_init(&b, SESSION_PLAIN_MAX);
		assert(session_formats[i]->open(&secrets,
						&(struct session_cookie){"sid", text, 1790000000},
						&b, &why) < 0);
		assert(why != NULL && *why != '\0');
		buf_fini(&b);
	}
}

/* Whatever a key's file holds: it is keys, or refused with a reason. */
static void
check_keys(const char *text, size_t len)
{
	struct auth_keys keys = {0};
	char why[512] = "";
	int rc = keys_add(&keys, text, len, KEYS_OF_FILE, why, sizeof(why));

	assert(rc < 0 ? *why != '\0' : keys.n > 0);
	keys_fini(&keys);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	assert(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 8) {
	case 0:
		check_token(text, size - 1);
		break;
	case 1:
		check_link(text);
		break;
	case 2:
		check_session(text, size - 1);
		break;
	case 4:
		check_cookie(text);
		break;
	default:
		check_keys(text, size - 1);
	}
	free(text);
	return 0;
}
