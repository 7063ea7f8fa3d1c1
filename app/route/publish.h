#ifndef SLUICE_ROUTE_PUBLISH_H
#define SLUICE_ROUTE_PUBLISH_H

/*
 * publish - a message that a client sends by POST: is it allowed, and what is Redis told?
 */
#include "base/buf.h"
#include "route/request.h"

struct redisReply;

/* What Redis will be told. */
struct publication {
	struct buf name; /* of the channel or stream, without the prefix; ends with a NUL */
	struct buf data;
	bool is_stream;
	uint64_t maxlen;
	struct buf idempotency_key; /* the client's Idempotency-Key, as a part of a key in Redis,
			    with a NUL; empty: there was none */
	const char *body;           /* what it sent, borrowed */
	size_t body_len;
	unsigned retry_after_s; /* with 429: when there is room again */
	unsigned record; /* set by the caller: how many messages of the channel are kept; 0: none */
};

void publication_fini(struct publication *pub);

/*
 * publish_read - the request's parameters must keep their rules already. Returns 0 and *pub, the
 * caller's; or the HTTP status, and in *why (a constant) what is wrong.
 */
int publish_read(struct publication *pub, const struct request *req, const char *body, size_t len,
		 const char **why);

/*
 * publish_result - reads Redis's answer to PUBLISH, XADD or the script. Returns 202, with the
 * receivers or the entry's ID; 422 if the Idempotency-Key was used for another message; or 503 for
 * an error or no reply, with why.
 */
struct publish_result {
	long long n_receivers;
	const char *id;  /* of the entry, borrowed from the reply; NULL: there is none */
	const char *why; /* a constant */
};
int publish_result(struct publish_result *out, const struct redisReply *reply);

#endif
