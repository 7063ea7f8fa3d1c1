#ifndef SLUICE_CLI_DOCTOR_H
#define SLUICE_CLI_DOCTOR_H

/*
 * doctor - sluice doctor: the parts of it. What is found out of the web server and of Redis, by
 * events at known times that go through both, and what to write where something stands in the way.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/http.h"
#include "config/config.h"
#include "route/doctoring.h"

struct options;

/* What can stand in the way, and has lines against it in each web server's configuration. */
enum cure {
	CURE_ROUTE,         /* nothing of the path reaches Sluice */
	CURE_SOCKET,        /* or what does finds nobody */
	CURE_BUFFER,        /* events are kept back */
	CURE_GZIP,          /* they are compressed */
	CURE_SILENCE,       /* a silent stream is cut */
	CURE_LEAVING,       /* that a client has gone is not noticed */
	CURE_AUTHORIZATION, /* the header is withheld */
	CURE_USER,          /* a name that nobody has checked is handed on */
	CURE_LIMIT,         /* too few streams at a time */
	CURE_HTTP2,         /* it speaks HTTP/1.1 alone */
	CURE_COME_BACK,     /* an EventSource is told 5xx while no Sluice runs */
	CURES
};

/* One kind of web server: a constant table. */
struct web_server {
	const char *name;
	const char *process, *user; /* on Debian */
	const char *says;           /* Server and SERVER_SOFTWARE begin so */
	const char *program;        /* is it installed? */
	const char *via_unix,
	    *via_tcp;         /* how it names the socket: by {path}, by {host} and {port} */
	unsigned descriptors; /* for each stream */
	bool notices_silent;  /* it can notice that a silent client has gone */
	unsigned h2_at_once;  /* streams of a connection that it serves at a time; 0: as it says */
	bool drops_groups;    /* of its user only the main group counts */
	const char *cures[CURES];       /* lines, with {base}, {socket}, {group} and {process} */
	const char *proxy_cures[CURES]; /* where it passes HTTP on to another that speaks FastCGI */
};

/* web_server_nth - NULL past the last. web_server_find - by what it says of itself; NULL. */
const struct web_server *web_server_nth(size_t n);
const struct web_server *web_server_find(const char *says);
bool web_server_is_installed(const struct web_server *ws);

/* web_server_cure - the lines, for this configuration; as a proxy before another: is_proxy. Returns
 * 0, -ENOMEM, -EMSGSIZE. */
int web_server_cure(struct buf *b, const struct web_server *ws, enum cure cure, bool is_proxy,
		    const struct config *cfg);

/* What is asked for to see how events come: DOCTOR_TICKS of them, DOCTOR_TICK_MS between two. */
#define DOCTOR_PLAN "events=8&every=250"

enum {
	DOCTOR_TICKS = 8,
	DOCTOR_TICK_MS = 250,
	DOCTOR_TICKS_MAX = 64,
	DOCTOR_KEY_LEN = DOCTORING_DIGITS + 1,
	DOCTOR_ANSWER_MS =
	    10000, /* so long an answer may take at the most, buffered as it may be */
};

/* A stream of events at known times. */
struct doctor_stream {
	struct http_exchange x;
	char key[DOCTOR_KEY_LEN];
	struct json_object *greeting; /* NULL: it has not come */
	bool is_sent_away;            /* by the file that stands in for Sluice */
	unsigned n;                   /* how many came, with the greeting */
	double late_ms[DOCTOR_TICKS_MAX];
	double came_ms[DOCTOR_TICKS_MAX]; /* after the request */
};

struct doctor {
	const struct options *opt;
	struct config *cfg;
	struct http_client http;
	char prefix[2048];               /* of the path, with which the URL reaches Sluice */
	const struct web_server *server; /* NULL: it is none of those that are known */
	const struct web_server *front;  /* of another kind, which passes HTTP on to it; NULL */
	struct doctor_stream first;      /* the one that found it */
	struct doctor_stream silent;
	bool is_local;     /* Sluice's clock is ours */
	bool has_redis;    /* a key can be put there */
	bool is_reached;   /* events come through */
	bool is_held_back; /* all of it, to the end: what is timed cannot be looked at */
	bool is_at_fault;  /* anything stands in the way */
	unsigned silence_ms, n_streams;
};

/* What was found: one line each, and below it what to write. */
void doctor_ok(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_warn(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_fail(struct doctor *d, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_line(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* below one */
/* doctor_cure - the lines of the web server, or, if it is not known, of all that are installed. */
void doctor_cure(const struct doctor *d, enum cure cure);

/* One key in Redis for one stream. doctor_key_left: when its client was found gone, in Unix ms; 0:
 * not yet. */
bool doctor_key_put(struct doctor *d, char key[DOCTOR_KEY_LEN], char *why, size_t len);
void doctor_key_drop(struct doctor *d, const char *key);
unsigned long long doctor_key_left(struct doctor *d, const char *key);
void doctor_check_redis(struct doctor *d);

/*
 * doctor_stream_begin - ask for it below prefix. plan: the query; fields: more of the head. Returns
 * 0; -1: s->x says why. doctor_stream_end: in any case.
 */
int doctor_stream_begin(struct doctor *d, struct doctor_stream *s, const char *prefix,
			const char *plan, const char *fields);
void doctor_stream_run(struct doctor_stream *s, unsigned n_events, unsigned ms);
void doctor_stream_end(struct doctor *d, struct doctor_stream *s);

/*
 * What the first stream was told, which is why it is known. doctor_server_name: "the web server" if
 * it is none of those that are known. doctor_greeted: by name in its greeting; "" if it was not
 * told. doctor_is_forwarded: another stands between; some web servers tell of the client in the
 * same header, and then nobody does.
 */
const char *doctor_server_name(const struct doctor *d);
const char *doctor_greeted(const struct doctor *d, const char *name);
bool doctor_is_forwarded(const struct doctor *d);

/*
 * The checks of what goes through the web server; each says what it found, and doctor.c their
 * order. doctor_reach: does a request reach Sluice, and if not, where does it end?
 */
void doctor_check_program(struct doctor *d);
void doctor_check_reached(struct doctor *d);

/* doctor_request: what becomes of its path and head, and whom it seems to come from. */
void doctor_check_base(struct doctor *d);
void doctor_check_request(struct doctor *d);
void doctor_check_proxies(struct doctor *d);

/* doctor_flow: what becomes of a stream. Silence takes its time: begun early, looked at last. */
void doctor_check_buffer(struct doctor *d);
void doctor_check_gzip(struct doctor *d);
void doctor_check_leaving(struct doctor *d);
void doctor_begin_silence(struct doctor *d);
void doctor_check_silence(struct doctor *d);

/* doctor_limits: how many streams at a time, and what is said while no Sluice runs. */
void doctor_check_streams(struct doctor *d);
void doctor_check_http2(struct doctor *d);
void doctor_check_come_back(struct doctor *d);

#endif
