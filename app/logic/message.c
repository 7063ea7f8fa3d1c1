#include "logic/message.h"

#include <json-c/json.h>
#include <limits.h>
#include <string.h>

/* Deeper than any message that people write, shallow enough for every stack. */
enum { DEPTH_MAX = 64 };

void
message_init(struct message *msg, const char *channel, size_t channel_len, const char *data,
	     size_t data_len)
{
	memset(msg, 0, sizeof(*msg));
	msg->channel = channel;
	msg->channel_len = channel_len;
	msg->data = data;
	msg->data_len = data_len;
}

void
message_fini(struct message *msg)
{
	json_object_put(msg->json);
	msg->json = NULL;
}

/*
 * One tokener serves all messages. Never JSON_TOKENER_STRICT: json-c 0.18 then
 * refuses every string that is not ASCII. VALIDATE_UTF8 is all there is else.
 */
static struct json_tokener *
tokener(void)
{
	static struct json_tokener *tok;

	if (tok == NULL && (tok = json_tokener_new_ex(DEPTH_MAX)) != NULL)
		json_tokener_set_flags(tok, JSON_TOKENER_VALIDATE_UTF8);
	if (tok != NULL)
		json_tokener_reset(tok);
	return tok;
}

static size_t
without_space_behind(const char *p, size_t len)
{
	while (len > 0 && memchr(" \t\r\n", p[len - 1], 4) != NULL)
		len--;
	return len;
}

/*
 * The NUL behind the text belongs to what the tokener is given: a number is
 * complete only with it. A NUL within would end the parse early, with success.
 */
static struct json_object *
parse(const char *data, size_t len)
{
	struct json_tokener *tok = tokener();
	struct json_object *json;

	if (tok == NULL || len >= INT_MAX || memchr(data, '\0', len) != NULL)
		return NULL;
	json = json_tokener_parse_ex(tok, data, (int)len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) < without_space_behind(data, len)) {
		json_object_put(json);
		return NULL;
	}
	return json;
}

struct json_object *
message_json(struct message *msg)
{
	if (!msg->is_parsed) {
		msg->is_parsed = true;
		msg->json = parse(msg->data, msg->data_len);
	}
	return msg->json;
}

const char *
message_channel(const struct message *msg)
{
	return msg->channel;
}

const char *
message_bytes(const struct message *msg, size_t *len)
{
	*len = msg->data_len;
	return msg->data;
}

bool
json_is(struct json_object *obj, const char *name, const char *value)
{
	struct json_object *member;
	size_t len = strlen(value);

	return json_object_object_get_ex(obj, name, &member) &&
	       json_object_is_type(member, json_type_string) &&
	       (size_t)json_object_get_string_len(member) == len &&
	       memcmp(json_object_get_string(member), value, len) == 0;
}

bool
json_is_true(struct json_object *obj, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(obj, name, &member) &&
	       json_object_is_type(member, json_type_boolean) && json_object_get_boolean(member);
}
