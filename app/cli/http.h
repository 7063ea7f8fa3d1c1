#ifndef SLUICE_CLI_HTTP_H
#define SLUICE_CLI_HTTP_H

/*
 * http - GETs by HTTP/1.1 through a web server, several at a time, with the moment at which each
 * byte came: for "sluice doctor". It blocks, with time-outs.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { HTTP_WHY = 256 };

struct http_url {
	bool is_tls;
	char host[256]; /* without brackets */
	char port[8];
	char path[1024]; /* without a slash at its end; "": the root */
};

/* http_url_parse - http:// or https://; false: it is none. Pure. */
bool http_url_parse(struct http_url *out, const char *text);

/* How all of them are made. */
struct http_client {
	struct http_url url;
	SSL_CTX *tls;        /* NULL: none */
	const char *cookie;  /* NULL: none */
	unsigned connect_ms; /* how long it may take to connect, and to ask, in all */
};

/* http_client_init - is_insecure: any certificate will do. Returns 0, -ENOMEM. */
int http_client_init(struct http_client *client, const struct http_url *url, bool is_insecure);
void http_client_fini(struct http_client *client);

enum http_failure {
	HTTP_FAILURE_NONE,
	HTTP_FAILURE_NAME,        /* there is no such host */
	HTTP_FAILURE_REFUSED,     /* nobody listens */
	HTTP_FAILURE_UNREACHED,   /* or no answer in time */
	HTTP_FAILURE_CERTIFICATE, /* that is refused */
	HTTP_FAILURE_TLS,
	HTTP_FAILURE_HTTP, /* what came is no HTTP/1.1 */
};

/* One request and its answer. */
struct http_exchange {
	int fd;
	SSL *ssl;
	enum http_failure failure;
	char why[HTTP_WHY];
	int status; /* 0: there is no head yet */
	char *head; /* with its NUL; NULL before it is whole */
	bool is_chunked, is_ended;
	bool is_cut; /* it ended without the end that it was to have */
	size_t chunk_left;
	uint64_t begun_ms, head_ms, ended_ms; /* clock_ms() */
	uint64_t until_ms;                    /* by then it is connected and has asked */
	struct buf raw;                       /* that was not looked at yet */
	struct buf body;                      /* what is dealt with is for on_body() to consume */
	void (*on_body)(struct http_exchange *x); /* more of it has come; NULL: it is kept */
	void *arg;
};

/*
 * http_begin - connect and ask for path, which is appended to the host alone; fields are whole
 * header lines, with CR LF. Returns 0; or -1 and x->failure, x->why. http_fini in any case.
 */
int http_begin(struct http_exchange *x, const struct http_client *client, const char *path,
	       const char *fields);

/* http_run - take what comes of all n that are not ended, until ms are over or done() says so. */
void
http_run(struct http_exchange *const *v, size_t n, unsigned ms, bool (*done)(void *arg), void *arg);

/* http_header - the value of an answer's header field into out, cut where it is full; false: there
 * is none. */
bool http_header(const struct http_exchange *x, const char *name, char *out, size_t len);

/* http_fini - the connection is closed. */
void http_fini(struct http_exchange *x);

/*
 * http_h2_streams - does it speak HTTP/2 (by ALPN), and how many streams a connection may have at a
 * time? Returns how many; 0 if it names no limit; -1 if it speaks none.
 */
long http_h2_streams(const struct http_client *client);

#endif
