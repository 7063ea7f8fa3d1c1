/*
 * chat.c - one room of a chat.
 *
 * Reads the channel "chat:room:ID", where ID is the route's parameter room_id. Of each message the
 * page gets username and text, and the room, the time and an id that no other message has.
 */
#include <time.h>

#include <sluice/handler.h>

static int
chat_open(struct feed *feed, const struct request *req)
{
	const char *room = request_param(req, "room_id");

	if (room == NULL)
		return HTTP_BAD_REQUEST;
	return feed_channel(feed, "chat:room:%s", room);
}

static enum verdict
chat_message(struct feed *feed, struct message *msg)
{
	const char *username = json_text(message_json(msg), "username");
	const char *text = json_text(message_json(msg), "text");
	struct json_object *out;
	char id[UNIQUE_LEN];

	if (username == NULL || text == NULL)
		return DROP;
	unique_make(id);
	out = json_object_new_object();
	json_object_object_add(out, "id", json_object_new_string(id));
	json_object_object_add(out, "room_id", json_object_new_string(feed_param(feed, "room_id")));
	json_object_object_add(out, "username", json_object_new_string(username));
	json_object_object_add(out, "text", json_object_new_string(text));
	json_object_object_add(out, "timestamp", json_object_new_int64(time(NULL)));
	return message_replace(msg, out);
}

const struct handler chat = {
    .name = "chat",
    .open = chat_open,
    .message = chat_message,
};
