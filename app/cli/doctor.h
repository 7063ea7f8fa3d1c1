#ifndef SLUICE_CLI_DOCTOR_H
#define SLUICE_CLI_DOCTOR_H

/*
 * doctor - the parts of sluice doctor. It sends events at known times through the web server and
 * Redis, reports what it finds, and prints the lines that mend it.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/http.h"
#include "config/config.h"
#include "route/doctoring.h"

struct options;

/* What can stand in the way. Each web server has lines against each of these. */
enum cure {
	CURE_ROUTE,         /* no path reaches Sluice */
	CURE_SOCKET,        /* the path is right, but nobody listens on the socket */
	CURE_BUFFER,        /* events are kept back */
	CURE_GZIP,          /* they are compressed */
	CURE_SILENCE,       /* a silent stream is cut */
	CURE_LEAVING,       /* it is not noticed that a client has gone */
	CURE_AUTHORIZATION, /* the header is withheld */
	CURE_USER,          /* a user's name is passed on that nobody has checked */
	CURE_LIMIT,         /* too few streams may be open at a time */
	CURE_HTTP2,         /* it speaks only HTTP/1.1 */
	CURE_COME_BACK,     /* while no Sluice runs an EventSource is answered 5xx */
	CURES
};

/* One kind of web server, a constant table. */
struct web_server {
	const char *name;
	const char *process, *user; /* on Debian */
	const char *says;           /* how Server and SERVER_SOFTWARE begin */
	const char *program;        /* is it installed? */
	const char *via_unix,
	    *via_tcp;         /* how it names the socket: with {path}, or with {host} and {port} */
	unsigned descriptors; /* for each stream */
	bool notices_silent;  /* it can notice that a silent client has gone */
	/* how many streams of one connection it serves at a time; 0: as it says */
	unsigned h2_at_once;
	bool drops_groups;              /* of its user's groups only the main one counts */
	const char *cures[CURES];       /* lines, with {base}, {socket}, {group} and {process} */
	const char *proxy_cures[CURES]; /* lines for a proxy, which passes HTTP on to a server that
					   speaks FastCGI */
};

/*
 * doctor_servers.c: web_server_nth - the n-th kind, NULL past the last. web_server_find - by the
 * name that a server gives itself; NULL.
 */
const struct web_server *web_server_nth(size_t n);
const struct web_server *web_server_find(const char *says);
bool web_server_is_installed(const struct web_server *ws);

/*
 * web_server_cure - the lines for this configuration. is_proxy: it stands before another server.
 * Returns 0, -ENOMEM, -EMSGSIZE.
 */
int web_server_cure(struct buf *b, const struct web_server *ws, enum cure cure, bool is_proxy,
		    const struct config *cfg);

/* The events that are asked for: DOCTOR_TICKS of them, with DOCTOR_TICK_MS between two. */
#define DOCTOR_PLAN "events=8&every=250"

enum {
	DOCTOR_TICKS = 8,
	DOCTOR_TICK_MS = 250,
	DOCTOR_TICKS_MAX = 64,
	DOCTOR_KEY_LEN = DOCTORING_DIGITS + 1,
	/* so long an answer may take at the most, buffered as it may be */
	DOCTOR_ANSWER_MS = 10000,
};

/* A stream of events at known times. */
struct doctor_stream {
	struct http_exchange x;
	char key[DOCTOR_KEY_LEN];
	struct json_object *greeting; /* NULL: it has not come */
	bool is_sent_away;            /* the answer came from the file that stands in for Sluice */
	unsigned n;                   /* how many events came, with the greeting */
	double late_ms[DOCTOR_TICKS_MAX];
	double came_ms[DOCTOR_TICKS_MAX]; /* after the request */
};

struct doctor {
	const struct options *opt;
	struct config *cfg;
	struct http_client http;
	char prefix[2048]; /* the part of the path with which the URL reaches Sluice */
	const struct web_server *server; /* NULL: it is of no known kind */
	const struct web_server *front;  /* a proxy before it, of another kind; NULL */
	struct doctor_stream first;      /* the one that found it */
	struct doctor_stream silent;
	bool is_local;     /* Sluice's clock is ours */
	bool has_redis;    /* a key can be put there */
	bool is_reached;   /* events come through */
	bool is_held_back; /* answers are kept back whole, so times cannot be measured */
	bool is_at_fault;  /* something stands in the way */
	unsigned silence_ms, n_streams;
};

/* doctor_report.c: each prints one line about what was found, with the lines to write below it. */
void doctor_ok(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_warn(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_fail(struct doctor *d, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_line(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* below one */
/*
 * doctor_cure - prints the lines for the web server; if its kind is not known, those for all that
 * are installed.
 */
void doctor_cure(const struct doctor *d, enum cure cure);

/*
 * doctor_redis.c: each stream has a key in Redis. doctor_key_left: when it was noticed that its
 * client had gone, in Unix ms; 0: not yet.
 */
bool doctor_key_put(struct doctor *d, char key[DOCTOR_KEY_LEN], char *why, size_t len);
void doctor_key_drop(struct doctor *d, const char *key);
unsigned long long doctor_key_left(struct doctor *d, const char *key);
void doctor_check_redis(struct doctor *d);

/*
 * doctor_stream.c: doctor_stream_begin - ask for it below prefix. plan: the query; fields: more of
 * the head. Returns 0; -1: s->x says why. doctor_stream_end: in any case.
 */
int doctor_stream_begin(struct doctor *d, struct doctor_stream *s, const char *prefix,
			const char *plan, const char *fields);
void doctor_stream_run(struct doctor_stream *s, unsigned n_events, unsigned ms);
void doctor_stream_end(struct doctor *d, struct doctor_stream *s);

/*
 * What the first stream has told. doctor_server_name: "the web server" if its kind is not known.
 * doctor_greeted: a value of its greeting; "" if it was not there. doctor_is_forwarded: is there a
 * proxy between? (Some web servers put the client into the same header; then it cannot be known.)
 */
const char *doctor_server_name(const struct doctor *d);
const char *doctor_greeted(const struct doctor *d, const char *name);
bool doctor_is_forwarded(const struct doctor *d);

/*
 * The checks of what goes through the web server. Each prints what it found; their order stands in
 * doctor.c. doctor_reach.c: does a request reach Sluice, and if not, where does it end?
 */
void doctor_check_program(struct doctor *d);
void doctor_check_reached(struct doctor *d);

/* doctor_request.c: what becomes of its path and head, and whom it seems to come from. */
void doctor_check_base(struct doctor *d);
void doctor_check_request(struct doctor *d);
void doctor_check_proxies(struct doctor *d);

/* doctor_flow.c: what becomes of a stream. Silence takes its time: begun early, looked at last. */
void doctor_check_buffer(struct doctor *d);
void doctor_check_gzip(struct doctor *d);
void doctor_check_leaving(struct doctor *d);
void doctor_begin_silence(struct doctor *d);
void doctor_check_silence(struct doctor *d);

/* doctor_limits.c: how many streams at a time, and what is said while no Sluice runs. */
void doctor_check_streams(struct doctor *d);
void doctor_check_http2(struct doctor *d);
void doctor_check_come_back(struct doctor *d);

#endif
