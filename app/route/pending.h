#ifndef SLUICE_ROUTE_PENDING_H
#define SLUICE_ROUTE_PENDING_H

/*
 * pending - requests of which it cannot be decided yet who asks, or whether he may. Each is kept
 * whole, for the web server's bytes are gone by then, and is served again from the beginning, by
 * the configuration that holds then: when Redis has answered, or a little later if it does not.
 */
#include <uv.h>

#include "route/right.h"
#include "route/sessions.h"

struct params;
struct pending;
struct serving_context;

/* Until when a request waits, in ms of the monotonic clock; 0: it did not wait for that yet. */
struct patience {
	uint64_t decide_ms; /* until it can be decided who may */
	uint64_t place_ms;  /* until a place is free */
	uint64_t redis_ms;  /* until Redis can be told */
};

/* What allow_command has said, of the command with this digest. */
struct known_right {
	bool is_known;
	enum allowed allowed;
	unsigned char digest[RIGHT_DIGEST];
};

/* What is known of a request that is served again. */
struct kept_answer {
	const char *cookie;                  /* whose session it is of; NULL: of none */
	const struct session_answer *answer; /* NULL: there is none */
	struct patience patience;            /* as it was given */
	struct known_right right;
};

typedef void (*pending_fn)(struct serving_context *in, struct subscriber *sub,
			   const struct params *params, const char *body, size_t body_len,
			   const struct kept_answer *answer);

int
pending_new(struct pending **out, uv_loop_t *loop, struct serving_context *in, pending_fn serve);

/* pending_close - nobody waits any more; on_closed when it is freed. */
void pending_close(struct pending *pending, void (*on_closed)(void *arg), void *arg);

/*
 * pending_ask - keep the request until the session of the cookie is known, unless it is known now
 * or cannot be asked for: then the answer is returned, and nothing is kept.
 */
struct session_answer
pending_ask(struct pending *pending, struct subscriber *sub, const struct params *params,
	    const char *body, size_t body_len, struct sessions *sessions, const char *cookie,
	    const struct patience *patience);

/* pending_ask_right - keep the request until Redis has said what the words, a command, ask for.
 * Returns 0; -ENOTCONN: it cannot be asked now; -ENOMEM. */
int pending_ask_right(struct pending *pending, struct subscriber *sub, const struct params *params,
		      const char *body, size_t body_len, struct hub *hub, char *const *words,
		      const struct patience *patience);

/* pending_retry - keep the request, and serve it again after ms. Returns 0, -ENOMEM. */
int pending_retry(struct pending *pending, struct subscriber *sub, const struct params *params,
		  const char *body, size_t body_len, unsigned ms, const struct patience *patience);

#endif
