/*
 * periodic.c - a value that is looked up every interval, and sent when it has changed.
 *
 * Asks Redis for the key "gallery:data", once for all subscribers. One that comes later is first
 * sent the newest value.
 */
#include <sluice/handler.h>

static int
periodic_open(struct feed *feed, const struct request *req)
{
	int status = feed_keep_last(feed, true);

	(void)req;
	return status != 0 ? status : feed_timer(feed, 1);
}

static void
periodic_reply(struct feed *feed, struct message *reply)
{
	const char *value;
	size_t len;

	if (reply == NULL)
		return; /* Redis is away; the next time it may be back */
	if ((value = message_bytes(reply, &len)) != NULL)
		feed_send(feed, NULL, value, len);
}

static void
periodic_timer(struct feed *feed)
{
	feed_timer(feed, feed_interval_ms(feed));
	if (feed_is_followed(feed))
		feed_ask(feed, periodic_reply, "GET", "gallery:data", NULL);
}

static const struct handler periodic = {
    .name = "periodic",
    .open = periodic_open,
    .timer = periodic_timer,
};

SLUICE_MODULE(&periodic);
