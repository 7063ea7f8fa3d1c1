#ifndef SLUICE_FCGI_RECORD_H
#define SLUICE_FCGI_RECORD_H

/*
 * record - the walk over the bytes of one connection: FastCGI 1.0, sections 3 to 5. Pure.
 *
 * A request is BEGIN_REQUEST, PARAMS and an empty PARAMS, STDIN and an empty STDIN, all of
 * one id, with management records anywhere between. Records of other ids are not
 * ours and are skipped, as section 3.3 wants. How the bytes are cut into
 * pieces makes no difference to what is decided.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fastcgi.h>

#include "base/buf.h"

enum {
	/* The longest content that we send: records of this length need no padding. */
	RECORD_CONTENT_MAX = 65528
};

struct record_limits {
	size_t params_max;  /* bytes of PARAMS; over it: 431 */
	size_t body_max;    /* bytes of STDIN; over it: 413. As many again are ignored */
	unsigned max_conns; /* what GET_VALUES is told */
	bool is_leaving;    /* FCGI_GET_VALUES also says this, in a variable of our own */
};

/* By this variable a new program knows that the old one is about to end. */
#define RECORD_STATE  "SLUICE_STATE"
#define RECORD_SERVES "serving"
#define RECORD_LEAVES "draining"

/* What has come of a request so far. It holds memory only while there is something in it. */
struct record_request {
	struct buf params;  /* joined */
	struct buf body;    /* joined, cut at CONTENT_LENGTH */
	struct buf content; /* of a record that is read as a whole */
};

enum record_phase {
	RECORD_IDLE, /* waits for BEGIN_REQUEST */
	RECORD_PARAMS,
	RECORD_STDIN,
	RECORD_WHOLE, /* the request was passed on, and its response has not ended yet */
	RECORD_BROKEN /* the rest of the connection's bytes cannot be understood */
};

struct record_walk {
	FCGI_Header head; /* of the current record */
	uint16_t content_left;
	uint16_t id;            /* of the request */
	uint16_t status;        /* to answer, after RECORD_REFUSE */
	unsigned char head_len; /* bytes of head that have come */
	unsigned char padding_left;
	unsigned char phase; /* enum record_phase */
	bool keep;           /* FCGI_KEEP_CONN */
	uint32_t excess;     /* STDIN that was ignored */
	size_t body_len;     /* CONTENT_LENGTH */
};

enum record_verdict {
	RECORD_MORE,    /* all bytes are used, and nothing is decided yet */
	RECORD_REQUEST, /* the request is whole */
	RECORD_REFUSE,  /* answer it with walk->status; if the phase is RECORD_BROKEN, then close */
	RECORD_ABORT,   /* the web server wants no more of the response */
	RECORD_END,     /* send the replies, then close */
	RECORD_FAULT,   /* close: no web server speaks FastCGI like this */
	RECORD_NO_MEMORY /* close */
};

void record_request_init(struct record_request *rq, const struct record_limits *limits);
void record_request_fini(struct record_request *rq);
void record_request_clear(struct record_request *rq); /* for the next; keeps the heap */
bool record_request_is_empty(const struct record_request *rq);

void record_walk_init(struct record_walk *w);

/* What has come and is not walked over yet. */
struct record_bytes {
	const char *p;
	size_t len;
};

/*
 * record_walk - takes bytes off the front of in. It stops at the first verdict that is not
 * RECORD_MORE; call it again with the rest, unless the phase is RECORD_BROKEN.
 * What must be sent at once is appended to replies: answers to management records, and END_REQUEST
 * for what cannot be served.
 */
enum record_verdict
record_walk(struct record_walk *w, struct record_request *rq, const struct record_limits *limits,
	    struct record_bytes *in, struct buf *replies);

/* record_next - the response has ended and the connection goes on: a new request may begin. */
void record_next(struct record_walk *w);

/* Encoding. The padding is what makes content_len a multiple of 8. */
unsigned char record_padding(size_t content_len);
void record_head(FCGI_Header *out, unsigned char type, uint16_t id, size_t content_len);

/* The end of a response: an empty STDOUT and END_REQUEST with REQUEST_COMPLETE. */
struct record_trailer {
	FCGI_Header stdout_end;
	FCGI_EndRequestRecord end;
};
void record_trailer(struct record_trailer *out, uint16_t id);

#endif
