/*
 * processing.c - each order in a frame of its own, with the server's time.
 *
 * Reads what the route's section names. Sends {"event":"order","data":MESSAGE,"timestamp":NOW}.
 */
#include <time.h>

#include <sluice/handler.h>

static enum verdict
processing_message(struct feed *feed, struct message *msg)
{
	struct json_object *order = message_json(msg), *out;

	(void)feed;
	if (order == NULL)
		return DROP;
	out = json_object_new_object();
	json_object_object_add(out, "event", json_object_new_string("order"));
	json_object_object_add(out, "data", json_object_get(order));
	json_object_object_add(out, "timestamp", json_object_new_int64(time(NULL)));
	return message_replace(msg, out);
}

static const struct handler processing = {
    .name = "processing",
    .open = feed_subjects,
    .message = processing_message,
};

SLUICE_MODULE(&processing);
