/*
 * fuzz_credential.c - tokens, signed links and sessions, as whoever may send or store them.
 *
 * The first byte chooses. No token and no link is ever taken: the secret is nowhere in the input. A
 * session that is read can be written as JSON.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/php_session.h"
#include "auth/signed_link.h"
#include "auth/token.h"

#define SECRET "a secret that is not in the input"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_token(const char *text, size_t len)
{
	static struct token_settings settings = {.user_claim = (char *)"sub"};
	struct token token;
	char why_not[128];
	const char *why;

	if (settings.key == NULL)
		assert(auth_key_new(&settings.key, SECRET, strlen(SECRET), why_not,
				    sizeof(why_not)) == 0);
	assert(token_read(&token, &settings, text, len, 1000000, &why) < 0);
	assert(why != NULL && *why != '\0');
}

static void
check_link(const char *text)
{
	const char *why;
	int64_t expires;

	assert(signed_link_check(text, SECRET, strlen(SECRET), 1000000, &expires, &why) < 0);
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
	if (data[0] % 3 == 0)
		check_token(text, size - 1);
	else if (data[0] % 3 == 1)
		check_link(text);
	else
		check_session(text, size - 1);
	free(text);
	return 0;
}
