/*
 * handler.c - to be copied: a handler with a key of its own. It sends each message with its number,
 * and how many there were so far every "summary" (a duration; 0: never).
 *
 * As it is it can be compiled apart, and [server] modules names the result:
 *
 *	cc -O2 -fPIC -shared -o counting.so handler.c
 *
 * To have it in the program instead, copy it into handlers/, take "static" from the struct handler
 * and SLUICE_MODULE() away at the end, and name the struct in app/route/handlers.c, in both lists.
 * Then a route can use it:
 *
 *	[route sensors]
 *	path = /sensors/{id}
 *	handler = counting
 *	channels = sensors:{id}
 *	summary = 5s
 */
#include <stdlib.h>

#include <sluice/handler.h>

/* One for each feed. Subscribers of one path with the same parameters share a feed. */
struct counting {
	unsigned long long n;
};

static void
start_timer(struct feed *feed)
{
	unsigned ms = (unsigned)feed_key_number(feed, "summary");

	if (ms > 0)
		feed_timer(feed, ms);
}

/* Called when a client comes and there is no feed for the same parameters. Subscribe last. */
static int
counting_open(struct feed *feed, const struct request *req)
{
	struct counting *counting = calloc(1, sizeof(*counting));

	if (counting == NULL)
		return HTTP_INTERNAL_ERROR;
	feed_set_data(feed, counting); /* from here on counting_close() frees it */
	start_timer(feed);
	return feed_subjects(feed,
			     req); /* follows what "channels" and the like of the section name */
}

/* Called with each message; with those of the past, of a queue and of a poll, too. */
static enum verdict
counting_message(struct feed *feed, struct message *msg)
{
	struct counting *counting = feed_data(feed);
	struct json_object *copy = message_copy(msg);

	if (copy == NULL)
		return DROP; /* no object */
	json_object_object_add(copy, "number", json_object_new_int64((int64_t)++counting->n));
	return message_replace(msg, copy);
}

static void
counting_timer(struct feed *feed)
{
	struct counting *counting = feed_data(feed);
	struct json_object *sum = json_object_new_object();

	json_object_object_add(sum, "count", json_object_new_int64((int64_t)counting->n));
	feed_send_json(feed, "summary", sum);
	start_timer(feed);
}

static void
counting_close(struct feed *feed)
{
	free(feed_data(feed));
}

/* The manual page, sluice check and suggestions treat these as every other key. */
static const struct handler_key keys[] = {
    {"summary", .kind = HANDLER_DURATION, .fallback = "0", .min = 0, .max = 3600000,
     .help = "how often the sum is sent; 0: never"},
    {0},
};

/* Keys of a section that have no use with this handler. */
static const char *const refuses[] = {"batch", NULL};

static const struct handler counting = {
    .name = "counting",
    .open = counting_open,
    .message = counting_message,
    .timer = counting_timer,
    .close = counting_close,
    .keys = keys,
    .refuses = refuses,
    .why_refused = "handler = counting numbers each message by itself",
};

SLUICE_MODULE(&counting);
