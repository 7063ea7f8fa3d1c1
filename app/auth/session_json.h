#ifndef SLUICE_AUTH_SESSION_JSON_H
#define SLUICE_AUTH_SESSION_JSON_H

/* session_json - a session that is written as JSON. Pure. */
#include <json-c/json.h>
#include <stddef.h>

/* session_json_read - of a text with a NUL behind it: the caller's, of any type; NULL: it is not
 * JSON, or longer than SESSION_TEXT_MAX. */
struct json_object *session_json_read(const char *text, size_t len);

#endif
