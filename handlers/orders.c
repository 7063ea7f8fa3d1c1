/*
 * orders.c - what happens in a shop, from three channels in one stream.
 *
 * Reads "orders", "payments" and "shipments". Sends {"type":"order","data":MESSAGE} and so on, as
 * events that have the channel's name, so that a page can listen for each.
 */
#include <string.h>

#include <sluice/handler.h>

static const struct {
	const char *channel, *type;
} kinds[] = {{"orders", "order"}, {"payments", "payment"}, {"shipments", "shipment"}};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static int
orders_open(struct feed *feed, const struct request *req)
{
	int status = 0, i;

	(void)req;
	for (i = 0; i < N_KINDS && status == 0; i++)
		status = feed_channel(feed, "%s", kinds[i].channel);
	return status;
}

static const char *
type_of(const char *channel)
{
	int i;

	for (i = 0; i < N_KINDS; i++) {
		if (strcmp(channel, kinds[i].channel) == 0)
			return kinds[i].type;
	}
	return "unknown";
}

static enum verdict
orders_message(struct feed *feed, struct message *msg)
{
	const char *channel = message_channel(msg);
	struct json_object *order = message_json(msg), *out;

	(void)feed;
	if (order == NULL)
		return DROP;
	out = json_object_new_object();
	json_object_object_add(out, "type", json_object_new_string(type_of(channel)));
	json_object_object_add(out, "data", json_object_get(order));
	message_set_event(msg, channel);
	return message_replace(msg, out);
}

const struct handler orders = {
    .name = "orders",
    .open = orders_open,
    .message = orders_message,
};
