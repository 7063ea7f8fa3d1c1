/*
 * aggregate.c - ten messages as one event, or those that there are an interval after the first.
 *
 * Reads what the route's section names. Sends {"batch":[{"channel":C,"data":D}...],"count":N}. The
 * timer sends a batch that no further message fills.
 */
#include <sluice/handler.h>

enum { BATCH_MAX = 10 };

static void
send_batch(struct feed *feed)
{
	struct json_object *batch = feed_data(feed), *out;

	feed_set_data(feed, NULL);
	feed_timer(feed, 0);
	out = json_object_new_object();
	json_object_object_add(out, "batch", batch);
	json_object_object_add(out, "count",
			       json_object_new_int64((int64_t)json_object_array_length(batch)));
	feed_send_json(feed, NULL, out);
}

static enum verdict
aggregate_message(struct feed *feed, struct message *msg)
{
	struct json_object *batch = feed_data(feed), *one;

	if (message_json(msg) == NULL)
		return DROP;
	if (batch == NULL) {
		batch = json_object_new_array();
		feed_set_data(feed, batch);
		feed_timer(feed, feed_interval_ms(feed));
	}
	one = json_object_new_object();
	json_object_object_add(one, "channel", json_object_new_string(message_channel(msg)));
	json_object_object_add(one, "data", json_object_get(message_json(msg)));
	json_object_array_add(batch, one);
	if (json_object_array_length(batch) == BATCH_MAX)
		send_batch(feed);
	return HOLD;
}

static void
aggregate_close(struct feed *feed)
{
	json_object_put(feed_data(feed));
}

static const struct handler aggregate = {
    .name = "aggregate",
    .open = feed_subjects,
    .message = aggregate_message,
    .timer = send_batch,
    .close = aggregate_close,
};

SLUICE_MODULE(&aggregate);
