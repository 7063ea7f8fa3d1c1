#include "auth/session_json.h"

#include "auth/session_format.h"
#include "logic/message.h"

struct json_object *
session_json_read(const char *text, size_t len)
{
	struct json_object *session;
	struct message msg;

	if (len > SESSION_TEXT_MAX)
		return NULL;
	message_init(&msg, "", 0, text, len);
	session = json_object_get(message_json(&msg));
	message_fini(&msg);
	return session;
}
