/*
 * ratelimit.c - at most one message in the section's interval, and never without the newest.
 *
 * Reads what the route's section names. The first message goes on at once. What comes within the
 * interval is kept, each in place of the one before, and goes when the interval is over.
 */
#include <stdlib.h>
#include <string.h>

#include <sluice/handler.h>

struct limiter {
	bool is_closed; /* a message was sent less than an interval ago */
	char *held;     /* the newest since, or NULL */
	size_t len;
};

static int
ratelimit_open(struct feed *feed, const struct request *req)
{
	struct limiter *limiter = calloc(1, sizeof(*limiter));

	if (limiter == NULL)
		return HTTP_INTERNAL_ERROR;
	feed_set_data(feed, limiter);
	return feed_subjects(feed, req);
}

static enum verdict
ratelimit_message(struct feed *feed, struct message *msg)
{
	struct limiter *limiter = feed_data(feed);
	const char *bytes;

	if (!limiter->is_closed) {
		limiter->is_closed = true;
		feed_timer(feed, feed_interval_ms(feed));
		return KEEP;
	}
	free(limiter->held);
	bytes = message_bytes(msg, &limiter->len);
	if ((limiter->held = malloc(limiter->len + 1)) == NULL)
		return DROP;
	memcpy(limiter->held, bytes, limiter->len);
	return HOLD;
}

static void
ratelimit_timer(struct feed *feed)
{
	struct limiter *limiter = feed_data(feed);

	limiter->is_closed = limiter->held != NULL;
	if (!limiter->is_closed)
		return;
	feed_timer(feed, feed_interval_ms(feed));
	feed_send(feed, NULL, limiter->held, limiter->len);
	free(limiter->held);
	limiter->held = NULL;
}

static void
ratelimit_close(struct feed *feed)
{
	struct limiter *limiter = feed_data(feed);

	if (limiter != NULL)
		free(limiter->held);
	free(limiter);
}

static const struct handler ratelimit = {
    .name = "ratelimit",
    .open = ratelimit_open,
    .message = ratelimit_message,
    .timer = ratelimit_timer,
    .close = ratelimit_close,
};

SLUICE_MODULE(&ratelimit);
