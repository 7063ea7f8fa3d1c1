/*
 * conditional.c - only what is urgent.
 *
 * Reads what the route's section names. A message goes on, byte for byte, if it is an object whose
 * priority is 5 or more.
 */
#include <sluice/handler.h>

static enum verdict
conditional_message(struct feed *feed, struct message *msg)
{
	struct json_object *priority = json_object_object_get(message_json(msg), "priority");

	(void)feed;
	if (json_object_is_type(priority, json_type_string))
		return DROP; /* json-c would read a number in it */
	return json_object_get_double(priority) >= 5 ? KEEP : DROP;
}

static const struct handler conditional = {
    .name = "conditional",
    .open = feed_subjects,
    .message = conditional_message,
};

SLUICE_MODULE(&conditional);
