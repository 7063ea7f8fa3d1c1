#ifndef SLUICE_ROUTE_PUBLISH_H
#define SLUICE_ROUTE_PUBLISH_H

/*
 * publish - what a client writes by POST: is it allowed, and what does Redis get?
 */
#include "base/buf.h"
#include "route/request.h"

struct redisReply;

/* What Redis is to be told. */
struct publication {
	struct buf name; /* of the channel or stream, without the prefix; ends with a NUL */
	struct buf data;
	bool is_stream;
	uint64_t maxlen;
	struct buf once;  /* the publisher's key for this message, as a part of a key in Redis, with
			   * a  NUL; empty: it gave none */
	const char *body; /* what it sent, borrowed */
	size_t body_len;
	unsigned retry_after_s; /* of 429: when there is room again */
	unsigned record; /* for the caller to find out: the channel is recorded; 0: it is not */
};

void publication_fini(struct publication *pub);

/*
 * publish_read - the request's parameters keep their rules. Returns 0 and *pub, the caller's; or
 * the HTTP status, and what is wrong in *why (a constant).
 */
int publish_read(struct publication *pub, const struct request *req, const char *body, size_t len,
		 const char **why);

/*
 * publish_result - what Redis said to PUBLISH, XADD or the script. Returns 202, with the receivers
 * or the entry's ID; 422 if its key is another message's; or 503 for an error or no reply, with
 * why.
 */
struct publish_result {
	long long n_receivers;
	const char *id;  /* of the entry, borrowed from the reply; NULL: there is none */
	const char *why; /* a constant */
};
int publish_result(struct publish_result *out, const struct redisReply *reply);

#endif
