/*
 * session_format.c - the table of all formats, and "auto", which looks at what Redis has.
 */
#include "auth/session_format.h"

#include "auth/php_session.h"
#include "auth/session_json.h"

const struct session_format *const session_formats[] = {
    &session_format_auto,  &session_format_express, &session_format_django,
    &session_format_flask, &session_format_laravel, NULL,
};

static struct json_object *
read_json_or_php(const char *text, size_t len)
{
	struct json_object *session = session_json_read(text, len);

	return session != NULL ? session : php_session_parse(text, len);
}

const struct session_format session_format_auto = {
    .name = "auto",
    .read = read_json_or_php,
    .unread = "the session is neither JSON nor a hash nor as PHP stores it",
    .is_hash = true,
    .cookie_max = 256,
};
