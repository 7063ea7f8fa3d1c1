/*
 * heartbeat.c - messages as they are, and a heartbeat of its own when none came for an interval.
 *
 * Reads what the route's section names. The heartbeat is {"type":"heartbeat","timestamp":NOW}. How
 * long a subscriber may stay is the section's "lifetime".
 */
#include <time.h>

#include <sluice/handler.h>

static int
heartbeat_open(struct feed *feed, const struct request *req)
{
	int status = feed_timer(feed, feed_interval_ms(feed));

	return status != 0 ? status : feed_subjects(feed, req);
}

static enum verdict
heartbeat_message(struct feed *feed, struct message *msg)
{
	(void)msg;
	feed_timer(feed, feed_interval_ms(feed));
	return KEEP;
}

static void
heartbeat_timer(struct feed *feed)
{
	struct json_object *beat = json_object_new_object();

	json_object_object_add(beat, "type", json_object_new_string("heartbeat"));
	json_object_object_add(beat, "timestamp", json_object_new_int64(time(NULL)));
	feed_send_json(feed, NULL, beat);
	feed_timer(feed, feed_interval_ms(feed));
}

static const struct handler heartbeat = {
    .name = "heartbeat",
    .open = heartbeat_open,
    .message = heartbeat_message,
    .timer = heartbeat_timer,
};

SLUICE_MODULE(&heartbeat);
