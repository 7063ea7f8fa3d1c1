/*
 * notifications.c - notifications for one user, with the server's time.
 *
 * Reads the channel "user:ID:notifications", where ID is the route's parameter user_id. Each
 * message is an object, to which "server_time" is added.
 */
#include <time.h>

#include <sluice/handler.h>

static int
notifications_open(struct feed *feed, const struct request *req)
{
	const char *user = request_param(req, "user_id");

	if (user == NULL)
		return HTTP_BAD_REQUEST;
	return feed_channel(feed, "user:%s:notifications", user);
}

static enum verdict
notifications_message(struct feed *feed, struct message *msg)
{
	struct json_object *note = message_copy(msg);

	(void)feed;
	if (note == NULL)
		return DROP; /* it is no object, so nothing can be added */
	json_object_object_add(note, "server_time", json_object_new_int64(time(NULL)));
	return message_replace(msg, note);
}

const struct handler notifications = {
    .name = "notifications",
    .open = notifications_open,
    .message = notifications_message,
};
