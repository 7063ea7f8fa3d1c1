#include "logic/message.h"

#include <json-c/json_visit.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_text.h"

void
message_init(struct message *msg, const char *channel, size_t channel_len, const char *data,
	     size_t data_len)
{
	memset(msg, 0, sizeof(*msg));
	msg->arrived = msg;
	msg->channel = channel;
	msg->channel_len = channel_len;
	msg->data = data;
	msg->data_len = data_len;
}

void
message_share(struct message *msg, struct message *arrived)
{
	message_init(msg, arrived->channel, arrived->channel_len, arrived->data, arrived->data_len);
	msg->arrived = arrived;
	msg->id = arrived->id;
	msg->id_len = arrived->id_len;
}

void
message_fini(struct message *msg)
{
	json_object_put(msg->json);
	json_object_put(msg->replacement);
	free(msg->event);
	msg->json = msg->replacement = NULL;
	msg->event = NULL;
}

/*
 * One tokener serves all messages. It must not be JSON_TOKENER_STRICT, because json-c 0.18 then
 * refuses every string that is not ASCII; json_text_check() is strict instead.
 */
static struct json_tokener *
tokener(void)
{
	static struct json_tokener *tok;

	if (tok == NULL && (tok = json_tokener_new_ex(JSON_DEPTH_MAX + 2)) != NULL)
		json_tokener_set_flags(tok, JSON_TOKENER_VALIDATE_UTF8);
	if (tok != NULL)
		json_tokener_reset(tok);
	return tok;
}

/*
 * The tokener is given the NUL behind the text, too, because a number is complete only when
 * something follows it.
 */
static bool
parse(const char *data, size_t len, struct json_object **out)
{
	struct json_tokener *tok = tokener();

	if (tok == NULL)
		return false;
	*out = json_tokener_parse_ex(tok, data, (int)len + 1);
	if (json_tokener_get_error(tok) == json_tokener_success)
		return true;
	json_object_put(*out);
	*out = NULL;
	return false;
}

/* Writes the number as it was published: json-c has kept its text, to which we added "e0". */
static int
narrow(struct json_object *value, int flags, struct json_object *parent, const char *key,
       size_t *index, void *arg)
{
	const char *text;
	char *own;
	size_t len;

	(void)parent;
	(void)key;
	(void)index;
	(void)arg;
	if (flags == JSON_C_VISIT_SECOND || !json_object_is_type(value, json_type_double))
		return JSON_C_VISIT_RETURN_CONTINUE;
	text = json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN);
	len = strlen(text);
	if (json_text_is_wide(text, len) && (own = strndup(text, len - 2)) != NULL)
		json_object_set_serializer(value, json_object_userdata_to_json_string, own,
					   json_object_free_userdata);
	return JSON_C_VISIT_RETURN_CONTINUE;
}

static bool
parse_wide(const char *data, size_t len, struct json_object **out)
{
	struct buf wide;
	bool is_parsed;

	buf_init(&wide, 3 * (size_t)MESSAGE_JSON_MAX);
	is_parsed = json_text_widen(data, len, &wide) == 0 && buf_putc(&wide, '\0') == 0 &&
		    parse(wide.p, wide.len - 1, out);
	if (is_parsed && *out != NULL)
		json_c_visit(*out, 0, narrow, NULL);
	buf_fini(&wide);
	return is_parsed;
}

static void
look(struct message *msg)
{
	bool has_wide;

	if (msg->is_parsed)
		return;
	msg->is_parsed = true;
	if (msg->data == NULL || msg->data_len > MESSAGE_JSON_MAX ||
	    !json_text_check(msg->data, msg->data_len, &has_wide))
		return;
	msg->is_json = has_wide ? parse_wide(msg->data, msg->data_len, &msg->json)
				: parse(msg->data, msg->data_len, &msg->json);
}

bool
message_is_json(struct message *msg)
{
	if (msg->is_replaced)
		return true;
	look(msg->arrived);
	return msg->arrived->is_json;
}

/*
 * Counts the members of all objects, of which json-c keeps one for each name. Recursion is at most
 * JSON_DEPTH_MAX deep.
 */
static size_t
count_members(struct json_object *value)
{
	size_t n = 0, i;

	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach(value, name, member)
		{
			(void)name;
			n += 1 + count_members(member);
		}
	} else if (json_object_is_type(value, json_type_array)) {
		for (i = 0; i < json_object_array_length(value); i++)
			n += count_members(json_object_array_get_idx(value, i));
	}
	return n;
}

bool
message_has_unique_names(struct message *msg)
{
	look(msg->arrived);
	return json_text_count_names(msg->arrived->data, msg->arrived->data_len) ==
	       count_members(msg->arrived->json);
}

struct json_object *
message_json(struct message *msg)
{
	if (msg->is_replaced)
		return msg->replacement;
	look(msg->arrived);
	return msg->arrived->json;
}

const char *
message_channel(const struct message *msg)
{
	return msg->channel;
}

const char *
message_bytes(const struct message *msg, size_t *len)
{
	if (msg->is_replaced)
		return json_object_to_json_string_length(
		    msg->replacement, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
	*len = msg->data_len;
	return msg->data;
}

const char *
message_text(const struct message *msg, size_t *len)
{
	if (msg->is_replaced || msg->arrived->text == NULL)
		return message_bytes(msg, len);
	*len = msg->arrived->text_len;
	return msg->arrived->text;
}

struct json_object *
message_copy(struct message *msg)
{
	struct json_object *json = message_json(msg), *copy = NULL;

	if (!json_object_is_type(json, json_type_object) ||
	    json_object_deep_copy(json, &copy, NULL) < 0)
		return NULL;
	return copy;
}

enum verdict
message_replace(struct message *msg, struct json_object *value)
{
	if (value == NULL)
		return DROP;
	json_object_put(msg->replacement);
	msg->replacement = value;
	msg->is_replaced = true;
	return KEEP;
}

void
message_set_event(struct message *msg, const char *type)
{
	free(msg->event);
	msg->event = strdup(type);
}

void
message_set_event_bytes(struct message *msg, const char *name, size_t len)
{
	char *p;

	free(msg->event);
	if ((msg->event = malloc(len + 1)) == NULL)
		return;
	memcpy(msg->event, name, len);
	msg->event[len] = '\0';
	while ((p = memchr(msg->event, '\0', len)) != NULL)
		*p = '\n';
}

const char *
json_text(struct json_object *obj, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(obj, name, &member) ||
	    !json_object_is_type(member, json_type_string))
		return NULL;
	return json_object_get_string(member);
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
