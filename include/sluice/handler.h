#ifndef SLUICE_HANDLER_H
#define SLUICE_HANDLER_H

/*
 * handler.h - all that a handler may include, besides libc and json-c.
 *
 * A handler is one C file: the functions that serve a route. It opens
 * subscriptions from the request, looks at each message, and says what becomes
 * of it. It runs in the worker's only thread: it never blocks and keeps no
 * globals. Heartbeat, limits and the like stand in the route's section of the
 * configuration, not in the code.
 */
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct feed;    /* what the subscribers of one route with the same parameters share */
struct message; /* what arrived from Redis, unchanged */
struct request; /* what a client asked for */
struct reply;   /* a short answer in the making */
struct json_object;

/* The statuses that a handler may refuse a request with, or answer. */
enum {
	HTTP_OK = 200,
	HTTP_NO_CONTENT = 204,
	HTTP_BAD_REQUEST = 400,
	HTTP_UNAUTHORIZED = 401,
	HTTP_FORBIDDEN = 403,
	HTTP_NOT_FOUND = 404,
	HTTP_INTERNAL_ERROR = 500,
	HTTP_UNAVAILABLE = 503
};

/* What becomes of a message. */
enum verdict {
	KEEP, /* send it as the route's section says */
	DROP, /* send nothing */
	LAST  /* send it, then end the feed's subscribers for good */
};

struct handler {
	const char *name; /* what "handler =" in a route's section says */

	/*
	 * A client asks for the route's path, and no feed serves the like of it
	 * yet: check the request, subscribe last. 0 for an open feed, else the
	 * HTTP status to answer. The request is borrowed; what is to be
	 * remembered of it goes into feed_set_data().
	 */
	int (*open)(struct feed *feed, const struct request *req);

	/* Each message of the feed's subscriptions, once per feed; NULL: KEEP them all. */
	enum verdict (*message)(struct feed *feed, struct message *msg);

	/* The feed ends: free what feed_set_data() was given. May be NULL. */
	void (*close)(struct feed *feed);

	/*
	 * In place of the three above: no stream, but a short answer to each
	 * request. Returns the HTTP status.
	 */
	int (*answer)(struct reply *reply, const struct request *req);
};

/*
 * request: strings are borrowed and NUL-terminated; NULL if there is none. A parameter is of the
 * path, else of the query, and keeps its rule; a header's name is in any case ("Accept"); the
 * path is decoded, below the server's base.
 */
const char *request_param(const struct request *req, const char *name);
const char *request_header(const struct request *req, const char *name);
const char *request_method(const struct request *req);
const char *request_path(const struct request *req);

/*
 * feed_channel, feed_pattern - subscribe the feed to a Redis channel or pattern, formatted as
 * printf does. Only in open(). A parameter that goes into a name has passed its
 * route's rule. Return 0, or the HTTP status that open() is to return.
 */
int feed_channel(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int feed_pattern(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* feed_subjects - subscribe to all that the route's "channels" and "patterns" name. As
 * feed_channel(). */
int feed_subjects(struct feed *feed, const struct request *req);

/*
 * feed_send - one event to all subscribers of the feed, now. type NULL: as an EventSource's
 * onmessage gets it. Returns 0, -EINVAL for a type that may not be sent, -ENOMEM.
 */
int feed_send(struct feed *feed, const char *type, const char *data, size_t len);

/* What the handler remembers for the feed; NULL until set. */
void feed_set_data(struct feed *feed, void *data);
void *feed_data(const struct feed *feed);

/* message: borrowed until message() returns. The bytes are as published, and end with a NUL beside
 * them. */
const char *message_channel(const struct message *msg);
const char *message_bytes(const struct message *msg, size_t *len);

/*
 * message_json - the message parsed, once for all feeds; borrowed, read only.
 * NULL if it is not JSON, or is JSON's null.
 */
struct json_object *message_json(struct message *msg);

/* json_is - is the member name of obj this string? false if there is no such member. */
bool json_is(struct json_object *obj, const char *name, const char *value);
/* json_is_true - is the member name of obj true? */
bool json_is_true(struct json_object *obj, const char *name);

/*
 * reply: of answer(). reply_type sets the media type (text/plain otherwise). reply_printf adds
 * to the body, up to 1 MiB; what does not fit makes the answer a 500.
 */
void reply_type(struct reply *reply, const char *type);
void reply_printf(struct reply *reply, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The worker, as health and status see it. */
bool worker_redis_is_up(void); /* both links to Redis are up */
/* worker_count - the n-th counter of all workers, its name in *name; false past the last. */
bool worker_count(unsigned n, const char **name, unsigned long long *value);

#ifdef __cplusplus
}
#endif

#endif
