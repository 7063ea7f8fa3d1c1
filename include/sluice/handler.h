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

struct feed;    /* shared by the subscribers of one route with the same parameters */
struct message; /* what arrived from Redis, unchanged */
struct request; /* what a client asked for */
struct reply;   /* a short answer while it is made */

/* What becomes of a message. */
enum verdict {
	KEEP, /* send it as the route's section says */
	DROP, /* send nothing */
	HOLD, /* send nothing now: the handler keeps what it needs, and sends it later itself */
	LAST  /* send it, then end the feed's subscribers for good */
};

/* The kinds of keys that a handler may add to a route's section. */
enum handler_value {
	HANDLER_TEXT,
	HANDLER_NUMBER,
	HANDLER_DURATION, /* "250ms", "5s"; its number is milliseconds */
	HANDLER_SIZE,     /* "64k"; its number is bytes */
	HANDLER_YES_NO,   /* 1 or 0 */
	HANDLER_WORD,     /* a text, one of the key's words */
	HANDLER_TEMPLATE, /* a text with {name}s, for request_key_text() */
	HANDLER_SHARED, /* as HANDLER_TEMPLATE, for feed_key_text(): only subscribers with the same
			   result share a feed */
	HANDLER_COMMAND /* a Redis command with {name}s, for feed_ask_key(); shared as
			   HANDLER_SHARED is */
};

struct handler_key {
	const char *name; /* lower-case letters and "_"; it must be no other key's name */
	enum handler_value kind;
	const char *fallback;        /* the default, as one would write it; NULL: there is none */
	unsigned long long min, max; /* of its number */
	const char *help;            /* what the key does, in a few words */
	const char *words;           /* for HANDLER_WORD: "auto client" */
};

/* What a route with the handler does. A module's handler also has the keys of its kind. */
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
	 * Called when a client asks for the route's path and no feed for the same parameters
	 * exists. Check the request first, subscribe last. Return 0 for an open feed, else the HTTP
	 * status to answer. The request is borrowed; what you need of it later goes into
	 * feed_set_data().
	 */
	int (*open)(struct feed *feed, const struct request *req);

	/*
	 * Called with each message of the feed's subscriptions, once per feed; and with each
	 * message of the past that one subscriber is sent, and each entry of a queue. NULL: all are
	 * kept.
	 */
	enum verdict (*message)(struct feed *feed, struct message *msg);

	/* Called when the time of feed_timer() is over. NULL: the handler sets none. */
	void (*timer)(struct feed *feed);

	/* The feed ends: free what feed_set_data() was given. May be NULL. */
	void (*close)(struct feed *feed);

	/*
	 * For work that must be done even if nobody follows. It is called once when the worker
	 * begins to serve the route, with a feed without subscribers and subscriptions; and again
	 * when the time of feed_timer() for that feed is over. close() is not called for that feed.
	 * NULL: there is no such work.
	 */
	void (*tend)(struct feed *feed);

	/* Each subscriber gets a feed of its own, because no two may share one. */
	bool is_private;

	enum handler_kind kind;

	/*
	 * Parameters of the query that the handler itself reads, so that a section may have rules
	 * for them; ends with NULL. NULL: none.
	 */
	const char *const *params;

	/*
	 * Keys that the handler adds to the section; ends with a NULL name. NULL: none. Wrong
	 * values are reported as those of every key.
	 */
	const struct handler_key *keys;

	/*
	 * What a section with this handler must not have; it is told why_refused. follows_only: the
	 * key of the one kind of subject that the handler follows ("streams"); other kinds are
	 * refused. refuses: keys of every route that have no use with it; ends with NULL. Each may
	 * be NULL: nothing is refused.
	 */
	const char *follows_only;
	const char *const *refuses;
	const char *why_refused;

	/*
	 * Reports by section_fault() what a section lacks, or what does not go together. May be
	 * NULL.
	 */
	void (*check)(struct handler_section *section);

	/* The first event is the current state, so it answers a client that polls (?mode=poll). */
	bool tells_state;

	/*
	 * Gives a short answer to each request, in place of all above. If there is open(), too, it
	 * answers only requests without mode=stream. Returns the HTTP status.
	 */
	int (*answer)(struct reply *reply, const struct request *req);
};

/*
 * request: strings are borrowed and end with a NUL; NULL: there is none.
 *
 * A parameter is one of the path, or else of the query, and keeps its rule. open() sees only
 * parameters of the path and those that the route's section names, because the feed's subscribers
 * share them; if the handler is private, it sees all. The name of a header is in any case
 * ("Accept"). The path is decoded, and the server's base is cut off.
 */
const char *request_param(const struct request *req, const char *name);
const char *request_header(const struct request *req, const char *name);
const char *request_method(const struct request *req);

/*
 * request_key_text - the value of the section's key of kind HANDLER_TEMPLATE for this request. *out
 * is the caller's, for free(); NULL if there is no such key, or a parameter or claim that it names
 * is missing. A claim is what the credential says, and has no rule, so it must not become part of a
 * name in Redis. Returns 0, or the HTTP status that open() must return.
 */
int request_key_text(const struct request *req, const char *name, char **out);
const char *request_path(const struct request *req);

/*
 * feed_channel, feed_pattern, feed_stream, feed_keyspace - subscribe the feed to a Redis channel, a
 * pattern or a stream, or to changes of a key or a pattern of keys. The name is formatted as printf
 * does. Only in open(). A feed of streams can resume. A parameter that becomes part of a name has
 * passed its route's rule. Return 0, or the HTTP status that open() must return.
 */
int feed_channel(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int feed_pattern(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int feed_stream(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int feed_keyspace(struct feed *feed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * feed_subjects - subscribes to all that the route's "channels", "patterns", "streams" and
 * "keyspace" name. Returns as feed_channel().
 */
int feed_subjects(struct feed *feed, const struct request *req);

/*
 * feed_channel_name - the n-th channel that the feed has subscribed to, without the prefix; NULL
 * past the last. Borrowed for the feed's life.
 */
const char *feed_channel_name(const struct feed *feed, unsigned n);

/* feed_is_open - has Redis confirmed all subscriptions? What is published from then on arrives. */
bool feed_is_open(const struct feed *feed);

/*
 * feed_param - the value of a parameter with which the feed was opened: one of the route's path, or
 * one that its section names. Borrowed for the feed's life; NULL if there is none.
 */
const char *feed_param(const struct feed *feed, const char *name);

/*
 * feed_send, feed_send_json - send one event to all subscribers of the feed, now, without rate and
 * batch. type NULL: an EventSource calls its onmessage. feed_send_json takes value over, also on
 * failure. Return 0, -EINVAL for a type that may not be sent, -ENOMEM.
 */
int feed_send(struct feed *feed, const char *type, const char *data, size_t len);
int feed_send_json(struct feed *feed, const char *type, struct json_object *value);

/* feed_end - ends the feed's subscribers for good; what was sent before is still sent. */
void feed_end(struct feed *feed);

/*
 * feed_timer - has timer() called once, ms from now, in place of an earlier time. 0: not at all.
 * Returns 0, or HTTP_INTERNAL_ERROR, which open() may return.
 */
int feed_timer(struct feed *feed, unsigned ms);

/* feed_is_followed - has the feed subscribers? It lives on for some seconds after the last one. */
bool feed_is_followed(const struct feed *feed);

/*
 * feed_keep_last - for a feed whose events are a state: later subscribers are sent the newest event
 * first. With only_changes an event that equals the one before is not sent. Only in open(). Returns
 * as feed_timer().
 */
int feed_keep_last(struct feed *feed, bool only_changes);

/* feed_forget_last - there is no state any more: later subscribers are sent nothing first. */
void feed_forget_last(struct feed *feed);

/*
 * feed_offer - a message of the handler's own. It takes the same way as a message from Redis behind
 * message(): through the section's filter, transform, rate and so on. data NULL: the section's
 * script, if there is one, is called without a message.
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
 * feed_is_in_cluster - is Redis a cluster? Then the keys of one command must be in one slot.
 * feed_publish_verb - the command that publishes on a channel: PUBLISH, or SPUBLISH where channels
 * are sharded.
 */
bool feed_is_in_cluster(const struct feed *feed);
const char *feed_publish_verb(const struct feed *feed);

/*
 * feed_ask_key - asks Redis the command of the section's key of kind HANDLER_COMMAND, as
 * feed_ask(). -ENOENT: the section has no such key.
 */
int feed_ask_key(struct feed *feed, const char *name, feed_reply_fn fn);
unsigned feed_interval_ms(const struct feed *feed); /* the section's "interval" */

/*
 * feed_key, feed_key_number - the value of a key that the handler adds, or its default: as text,
 * NULL if there is none; as a number, 0 if there is none. Borrowed for the feed's life.
 */
const char *feed_key(const struct feed *feed, const char *name);
unsigned long long feed_key_number(const struct feed *feed, const char *name);

/*
 * feed_key_text - the value of the section's key of kind HANDLER_SHARED for this feed. *out is the
 * caller's, for free(); NULL if there is no such key. Returns 0, -ENOENT if a value is missing,
 * -EMSGSIZE, -ENOMEM.
 */
int feed_key_text(const struct feed *feed, const char *name, char **out);

/* What the handler keeps for the feed; NULL until it is set. */
void feed_set_data(struct feed *feed, void *data);
void *feed_data(const struct feed *feed);

/* message: borrowed until message() returns. The bytes are as published, with a NUL behind them. */
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
 * message_replace - value takes the message's place in this feed, for all that follows: filter,
 * transform, templates. Takes value over. Returns KEEP; DROP if value is NULL.
 */
enum verdict message_replace(struct message *msg, struct json_object *value);

/*
 * message_set_event - sets the event's name, in place of the section's. It is copied. If the name
 * may not be sent, the message is dropped later, and counted.
 */
void message_set_event(struct message *msg, const char *type);

/*
 * section: of check(). section_text - the value of a key in the section or in [defaults]; NULL:
 * there is none. section_count - how many members its list has. section_fault - reports what is
 * wrong with the section's own line of the key, if it has one; with key NULL, with the section as a
 * whole: "needs a group".
 */
const char *section_text(const struct handler_section *section, const char *key);
unsigned section_count(const struct handler_section *section, const char *key);
void section_fault(struct handler_section *section, const char *key, const char *why);

/*
 * reply: of answer(). reply_type sets the media type (text/plain otherwise). reply_printf adds to
 * the body, up to 64 MiB; if more is added, the answer becomes a 500.
 */
void reply_type(struct reply *reply, const char *type);
void reply_printf(struct reply *reply, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The program as health, status and metrics show it: all workers together. */
bool worker_redis_is_up(void); /* both links of this worker to Redis are up */

/* worker_state - "ok", "degraded", "down" or "draining". */
const char *worker_state(void);
/*
 * worker_trouble - writes the n-th thing that is wrong, a sentence, into text; false past the last.
 */
bool worker_trouble(unsigned n, char *text, size_t len);

/* worker_count - the n-th counter over all workers, with its name in *name; false past the last. */
bool worker_count(unsigned n, const char **name, unsigned long long *value);
bool worker_count_is_gauge(unsigned n);    /* can the n-th one, which exists, go down as well? */
const char *worker_count_help(unsigned n); /* what it counts, in a few words */

/*
 * worker_node - the n-th node of a cluster that this worker has links to; false past the last, past
 * the 256th, and if Redis is no cluster.
 */
struct worker_node {
	char address[280]; /* HOST:PORT */
	const char *role;  /* "primary" */
	unsigned n_slots;
	bool is_up; /* each of the links */
};
bool worker_node(unsigned n, struct worker_node *out);

/*
 * worker_route - the n-th route: its name; NULL past the last. This and what the following
 * functions return is borrowed until control returns to the loop. worker_route_count: the route's
 * n-th counter.
 */
struct worker_route {
	const char *name, *path, *handler;
	unsigned long long lag; /* bytes that its slowest client has not taken */
};
bool worker_route(unsigned n, struct worker_route *out);
unsigned long long worker_route_count(unsigned route, unsigned n);
/*
 * worker_route_refused - how many requests were refused with the n-th status, where 0 stands for
 * all others; false past the last.
 */
bool worker_route_refused(unsigned route, unsigned n, unsigned *status, unsigned long long *value);
/* worker_route_took - how many writes came at most this long after Redis; 0: any longer time. */
bool worker_route_took(unsigned route, unsigned n, unsigned *us, unsigned long long *value);
unsigned long long worker_route_took_us(unsigned route); /* all of them together */

#ifdef __cplusplus
}
#endif

#endif
