#ifndef SLUICE_ROUTE_PENDING_H
#define SLUICE_ROUTE_PENDING_H

/*
 * pending - requests of which it is not known yet who asks, or whether he may. Each is copied
 * whole, because the web server's bytes are gone by then. It is served again from the beginning,
 * with the configuration of that time: when Redis has answered, or a little later if it does not.
 */
#include <uv.h>

#include "route/right.h"
#include "route/sessions.h"

struct params;
struct pending;
struct serving_context;

/* Until when a request waits, in ms of the monotonic clock; 0: it has not waited for that yet. */
struct patience {
	uint64_t decide_ms; /* for the decision who asks, and whether he may */
	uint64_t place_ms;  /* until a place is free */
	uint64_t redis_ms;  /* until Redis can be told */
};

/* What Redis has answered to allow_command; the digest is that of the command. */
struct known_right {
	bool is_known;
	enum allowed allowed;
	unsigned char digest[RIGHT_DIGEST];
};

/* What is known of a request that is served again. */
struct kept_answer {
	const char *cookie; /* the cookie of the session that is answered; NULL: none */
	const struct session_answer *answer; /* NULL: there is none */
	struct patience patience;            /* as it was given */
	struct known_right right;
};

typedef void (*pending_fn)(struct serving_context *in, struct subscriber *sub,
			   const struct params *params, const char *body, size_t body_len,
			   const struct kept_answer *answer);

int
pending_new(struct pending **out, uv_loop_t *loop, struct serving_context *in, pending_fn serve);

/* pending_close - forgets all requests, none of which waits any more; on_closed is called when it
 * is freed. */
void pending_close(struct pending *pending, void (*on_closed)(void *arg), void *arg);

/* A request that is to be kept. All of it is borrowed, and copied if it is kept. */
struct pending_request {
	struct subscriber *sub; /* not copied: it is held */
	const struct params *params;
	const char *body;
	size_t body_len;
	struct patience patience;
	enum session_age age; /* SESSION_RECENT for one that is kept not for the first time */
};

/*
 * pending_ask - keeps the request until the session of the cookie is known. If it is known already,
 * or cannot be asked for, the answer is returned and nothing is kept.
 */
struct session_answer pending_ask(struct pending *pending, const struct pending_request *rq,
				  struct sessions *sessions, const char *cookie);

/*
 * pending_ask_right - keeps the request until Redis has answered the command of these words.
 * Returns 0; -ENOTCONN: it cannot be asked now; -ENOMEM.
 */
int pending_ask_right(struct pending *pending, const struct pending_request *rq, struct hub *hub,
		      char *const *words);

/* pending_retry - keeps the request, and serves it again after ms. Returns 0, -ENOMEM. */
int pending_retry(struct pending *pending, const struct pending_request *rq, unsigned ms);

#endif
