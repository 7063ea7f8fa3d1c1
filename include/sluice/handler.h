#ifndef SLUICE_HANDLER_H
#define SLUICE_HANDLER_H

/*
 * handler.h - all that a handler may include, besides libc and json-c.
 *
 * A handler is one C file: the functions that serve a route. It opens
 * subscriptions from the request, looks at each message, and says what becomes
 * of it. It runs in the worker's only thread: it never blocks and keeps no
 * globals. Heartbeat, limits and the like stand in the route's section of the
 * configuration, not in the code: filter, transform, rate and batch of the section
 * apply to what the handler lets through. sluice-handler(3) says more.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include <sluice/http.h>
#include <sluice/json.h>
#include <sluice/module.h>
#include <sluice/unique.h>

#ifdef __cplusplus
extern "C" {
#endif

struct feed;    /* what the subscribers of one route with the same parameters share */
struct message; /* what arrived from Redis, unchanged */
struct request; /* what a client asked for */
struct reply;   /* a short answer in the making */

/* What becomes of a message. */
enum verdict {
	KEEP, /* send it as the route's section says */
	DROP, /* send nothing */
	HOLD, /* send nothing now: the handler has kept what it needs, and will send it itself */
	LAST  /* send it, then end the feed's subscribers for good */
};

/* A key of a route's section that a handler has for itself. */
enum handler_value {
	HANDLER_TEXT,
	HANDLER_NUMBER,
	HANDLER_DURATION, /* "250ms", "5s"; its number is milliseconds */
	HANDLER_SIZE,     /* "64k"; its number is bytes */
	HANDLER_YES_NO,   /* 1 or 0 */
	HANDLER_WORD,     /* a text, one of the key's words */
	HANDLER_TEMPLATE, /* text with {name}s, for request_key_text() */
	HANDLER_SHARED,   /* the same for feed_key_text(): subscribers share a feed if it is the
			     same for both */
	HANDLER_COMMAND   /* a Redis command with {name}s, for feed_ask_key(); shared, too */
};

struct handler_key {
	const char *name; /* lower-case letters and "_"; no other key may be called so */
	enum handler_value kind;
	const char *fallback; /* what holds without it, as it would be written; NULL: nothing */
	unsigned long long min, max; /* of its number */
	const char *help;            /* what it says, in a few words */
	const char *words;           /* of HANDLER_WORD: "auto client" */
};

/* What a route with the handler is. A module's handler has the keys of its kind, too. */
enum handler_kind {
	HANDLER_STREAM, /* what comes is sent to all who follow */
	HANDLER_WAIT,   /* no stream: the first message that comes within "timeout" is the answer */
	HANDLER_QUEUE,  /* each entry of the one stream goes to one subscriber of the "group" */
	HANDLER_MUX     /* a connection that carries the streams of other routes: its "routes" */
};

struct handler_section; /* a route's section, while it is checked */

struct handler {
	const char *name; /* what "handler =" in a route's section says */

	/*
	 * A client asks for the route's path, and no feed serves the like of it
	 * yet: check the request, subscribe last. 0 for an open feed, else the
	 * HTTP status to answer. The request is borrowed; what is to be
	 * remembered of it goes into feed_set_data().
	 */
	int (*open)(struct feed *feed, const struct request *req);

	/*
	 * Each message of the feed's subscriptions, once per feed; and each of the past that one
	 * subscriber is sent anew or asks for, and each entry of a queue. NULL: KEEP them all.
	 */
	enum verdict (*message)(struct feed *feed, struct message *msg);

	/* The time that feed_timer() set has come. NULL: the handler sets none. */
	void (*timer)(struct feed *feed);

	/* The feed ends: free what feed_set_data() was given. May be NULL. */
	void (*close)(struct feed *feed);

	/*
	 * For what is to be done whether anybody follows or not: called once when the worker begins
	 * to serve the route, with a feed of no subscribers and no subscriptions, and whenever the
	 * time is over that feed_timer() set for that feed. close() is not called for it. NULL:
	 * there is nothing to do.
	 */
	void (*tend)(struct feed *feed);

	/* A feed for each subscriber, for what no two of them may share. */
	bool is_private;

	enum handler_kind kind;

	/* Parameters of a request that it asks for by itself, for which a section may have rules;
	 * ends with NULL. NULL: none. */
	const char *const *params;

	/* Keys that it adds to the section; ends with a NULL name. NULL: none. What is wrong with a
	 * value is told as for every key. */
	const struct handler_key *keys;

	/* Keys of every route that have no use with it, of which a section is told why; ends with
	 * NULL. NULL: none. */
	const char *const *refuses;
	const char *why_refused;

	/* What is missing in a section, or does not go together: says so by section_fault(). May be
	 * NULL. */
	void (*check)(struct handler_section *section);

	/* The first event is how things stand: it is what a client that polls is answered. */
	bool tells_state;

	/*
	 * A short answer to each request, in place of all above; with open() too, to each without
	 * mode=stream in its query. Returns the HTTP status.
	 */
	int (*answer)(struct reply *reply, const struct request *req);
};

/*
 * request: strings are borrowed and NUL-terminated; NULL if there is none. A parameter is of the
 * path, else of the query, and keeps its rule; in open() only those of the path and those that the
 * route's section names, for its subscribers share the feed, unless the handler is private; a
 * header's name is in any case
 * ("Accept"); the path is decoded, below the server's base.
 */
const char *request_param(const struct request *req, const char *name);
const char *request_header(const struct request *req, const char *name);
const char *request_method(const struct request *req);

/*
 * request_key_text - what the section's key of kind HANDLER_TEMPLATE says of this request. *out is
 * the caller's, for free(); NULL if there is no such key, or a parameter or claim that it names is
 * missing. A claim is what the credential says, without a rule: no name for Redis may be made of
 * it. Returns 0, or the HTTP status that open() is to return.
 */
int request_key_text(const struct request *req, const char *name, char **out);
const char *request_path(const struct request *req);

/*
 * feed_channel, feed_pattern, feed_stream, feed_keyspace - subscribe the feed to a Redis channel,
 * pattern or stream, or to what becomes of a key or a pattern of keys, formatted as printf does.
 * Only in open(). A feed of streams can resume. A parameter that
 * goes into a name has passed its route's rule. Return 0, or the HTTP status that open() is to
 * return.
 */
int feed_channel(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int feed_pattern(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int feed_stream(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int feed_keyspace(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* feed_subjects - subscribe to all that the route's "channels", "patterns", "streams" and
 * "keyspace" name. As feed_channel(). */
int feed_subjects(struct feed *feed, const struct request *req);

/*
 * feed_channel_name - the n-th channel that the feed has subscribed to, without the prefix; NULL
 * past the last. Borrowed for the feed's life.
 */
const char *feed_channel_name(const struct feed *feed, unsigned n);

/* feed_is_open - has Redis confirmed all that the feed follows? What is said from then on arrives.
 */
bool feed_is_open(const struct feed *feed);

/*
 * feed_param - the value of a parameter with which the feed was opened: one of the route's path, or
 * one that its section names. Borrowed for the feed's life; NULL if there is none.
 */
const char *feed_param(const struct feed *feed, const char *name);

/*
 * feed_send, feed_send_json - one event to all subscribers of the feed, now, whatever the section
 * says of rate and batch. type NULL: as an EventSource's onmessage gets it. feed_send_json takes
 * value over, also on failure. Return 0, -EINVAL for a type that may not be sent, -ENOMEM.
 */
int feed_send(struct feed *feed, const char *type, const char *data, size_t len);
int feed_send_json(struct feed *feed, const char *type, struct json_object *value);

/* feed_end - what was sent so far is the last: end the feed's subscribers for good. */
void feed_end(struct feed *feed);

/*
 * feed_timer - have timer() called once, ms from now; an earlier time that was set is forgotten.
 * 0: not at all. Returns 0, or HTTP_INTERNAL_ERROR, which open() may return.
 */
int feed_timer(struct feed *feed, unsigned ms);

/* feed_is_followed - has the feed subscribers? A feed outlives the last by some seconds. */
bool feed_is_followed(const struct feed *feed);

/*
 * feed_keep_last - the newest event is what each later subscriber is sent first: for a feed that
 * tells a state. With only_changes an event that is the same as the one before is not sent.
 * Only in open(). As feed_timer().
 */
int feed_keep_last(struct feed *feed, bool only_changes);

/* feed_forget_last - there is nothing to tell: later subscribers are sent nothing first. */
void feed_forget_last(struct feed *feed);

/*
 * feed_offer - a message of the handler's own, which goes the way of one from Redis after
 * message(): through the section's filter, transform, rate and so on. data NULL: there is no
 * message, and the section's script, if there is one, is called without.
 */
void feed_offer(struct feed *feed, const char *data, size_t len);

/*
 * feed_ask - ask Redis, without waiting: the command and its arguments, then NULL, as in
 * feed_ask(feed, on_reply, "GET", key, NULL). The prefix is put before keys. fn is called once,
 * later, unless the feed ends before. Its reply is borrowed: message_bytes() gives a string's
 * bytes, anything else as JSON, and NULL for Redis's nil. reply NULL: there is no answer.
 * Returns 0, -ENOTCONN, -ENOMEM, -EAGAIN while too much is asked, -EINVAL for a command that would
 * block or change the connection, -E2BIG past 64 arguments or without any: then fn is not called.
 */
typedef void (*feed_reply_fn)(struct feed *feed, struct message *reply);
int feed_ask(struct feed *feed, feed_reply_fn fn, ...) __attribute__((sentinel));

/*
 * feed_is_in_cluster - the keys of one command must be in one slot; and by what is published on a
 * channel: PUBLISH, or SPUBLISH where channels are sharded.
 */
bool feed_is_in_cluster(const struct feed *feed);
const char *feed_publish_verb(const struct feed *feed);

/* feed_ask_key - ask what the section's key of kind HANDLER_COMMAND says, as feed_ask(). -ENOENT:
 * it says nothing. */
int feed_ask_key(struct feed *feed, const char *name, feed_reply_fn fn);
unsigned feed_interval_ms(const struct feed *feed); /* the section's "interval" */

/*
 * feed_key, feed_key_number - what the section says of a key that the handler adds, or what holds
 * without: its text, NULL if there is none; its number, 0 if there is none. Borrowed for the feed's
 * life.
 */
const char *feed_key(const struct feed *feed, const char *name);
unsigned long long feed_key_number(const struct feed *feed, const char *name);

/*
 * feed_key_text - what the section's key of kind HANDLER_SHARED says for this feed. *out is the
 * caller's, for free(); NULL if there is no such key. Returns 0, -ENOENT if a value is missing,
 * -EMSGSIZE, -ENOMEM.
 */
int feed_key_text(const struct feed *feed, const char *name, char **out);

/* What the handler remembers for the feed; NULL until set. */
void feed_set_data(struct feed *feed, void *data);
void *feed_data(const struct feed *feed);

/* message: borrowed until message() returns. The bytes are as published, and end with a NUL beside
 * them. */
const char *message_channel(const struct message *msg);
const char *message_bytes(const struct message *msg, size_t *len);

/*
 * message_json - the message parsed, once for all feeds; borrowed, read only.
 * NULL if it is not JSON (RFC 8259, at most 64 deep, at most 1 MiB), or is JSON's null.
 */
struct json_object *message_json(struct message *msg);

/*
 * message_copy - a copy of the message's JSON to change and hand to message_replace(). The
 * caller's; NULL if it is not an object, or out of memory.
 */
struct json_object *message_copy(struct message *msg);

/*
 * message_replace - value takes the place of the message, for this feed and all that follows:
 * filter, transform, templates. Takes value over. Returns KEEP; DROP if value is NULL.
 */
enum verdict message_replace(struct message *msg, struct json_object *value);

/*
 * message_set_event - the event's name, in place of what the section says. Copied. A name that
 * may not be sent is found out later: the message is dropped and counted.
 */
void message_set_event(struct message *msg, const char *type);

/*
 * section: of check(). section_text - what the section or [defaults] says of a key; NULL: nothing.
 * section_count - how many there are in its list. section_fault - what is wrong with the section's
 * own line of the key, if it has one; with key NULL, with the section as a whole: "needs a group".
 */
const char *section_text(const struct handler_section *section, const char *key);
unsigned section_count(const struct handler_section *section, const char *key);
void section_fault(struct handler_section *section, const char *key, const char *why);

/*
 * reply: of answer(). reply_type sets the media type (text/plain otherwise). reply_printf adds
 * to the body, up to 1 MiB; what does not fit makes the answer a 500.
 */
void reply_type(struct reply *reply, const char *type);
void reply_printf(struct reply *reply, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The program, as health, status and metrics see it: all workers together. */
bool worker_redis_is_up(void); /* both links of this worker to Redis are up */

/* worker_state - "ok", "degraded", "down" or "draining". */
const char *worker_state(void);
/* worker_trouble - the n-th thing that is wrong, a sentence, in text; false past the last. */
bool worker_trouble(unsigned n, char *text, size_t len);

/* worker_count - the n-th counter of all workers, its name in *name; false past the last. */
bool worker_count(unsigned n, const char **name, unsigned long long *value);
bool worker_count_is_gauge(unsigned n);    /* does the n-th, which there is, go down, too? */
const char *worker_count_help(unsigned n); /* what it counts, in a few words */

/* worker_node - the n-th node of a cluster that this worker has links to; false past the last, of
 * which one knows at most 256, and if Redis is no cluster. */
struct worker_node {
	char address[280]; /* HOST:PORT */
	const char *role;  /* "primary" */
	unsigned n_slots;
	bool is_up; /* each of the links */
};
bool worker_node(unsigned n, struct worker_node *out);

/*
 * worker_route - the n-th route: its name; NULL past the last. Borrowed until control returns to
 * the loop, as what the following tell of it. worker_route_count: of the n-th counter, by the
 * route.
 */
struct worker_route {
	const char *name, *path, *handler;
	unsigned long long lag; /* bytes that its slowest client has not taken */
};
bool worker_route(unsigned n, struct worker_route *out);
unsigned long long worker_route_count(unsigned route, unsigned n);
/* worker_route_refused - requests that were refused with the n-th status, 0 being any other; false
 * past the last. */
bool worker_route_refused(unsigned route, unsigned n, unsigned *status, unsigned long long *value);
/* worker_route_took - writes that came so long after Redis, at the most; 0: any longer. */
bool worker_route_took(unsigned route, unsigned n, unsigned *us, unsigned long long *value);
unsigned long long worker_route_took_us(unsigned route); /* all of them together */

#ifdef __cplusplus
}
#endif

#endif
