/*
 * dashboard.c - the figures of a dashboard: one stream of three channels.
 *
 * Reads "metrics:users", "metrics:orders" and "metrics:performance", whose messages are objects
 * with a value and perhaps a timestamp. Sends {"metric":"users","value":V,"timestamp":T}.
 */
#include <string.h>
#include <time.h>

#include <sluice/handler.h>

static int
dashboard_open(struct feed *feed, const struct request *req)
{
	int status;

	(void)req;
	if ((status = feed_channel(feed, "metrics:users")) != 0 ||
	    (status = feed_channel(feed, "metrics:orders")) != 0)
		return status;
	return feed_channel(feed, "metrics:performance");
}

/* The member, with a reference of its own, to put it elsewhere; NULL stands for JSON's null. */
static struct json_object *
member(struct json_object *obj, const char *name)
{
	return json_object_get(json_object_object_get(obj, name));
}

static enum verdict
dashboard_message(struct feed *feed, struct message *msg)
{
	const char *metric = message_channel(msg) + strlen("metrics:");
	struct json_object *in = message_json(msg), *out, *timestamp;

	(void)feed;
	if (!json_object_is_type(in, json_type_object))
		return DROP;
	if ((timestamp = member(in, "timestamp")) == NULL)
		timestamp = json_object_new_int64(time(NULL));
	out = json_object_new_object();
	json_object_object_add(out, "metric", json_object_new_string(metric));
	json_object_object_add(out, "value", member(in, "value"));
	json_object_object_add(out, "timestamp", timestamp);
	return message_replace(msg, out);
}

const struct handler dashboard = {
    .name = "dashboard",
    .open = dashboard_open,
    .message = dashboard_message,
};
