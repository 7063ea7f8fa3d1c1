#ifndef SLUICE_REDIS_ADDRESSES_H
#define SLUICE_REDIS_ADDRESSES_H

/*
 * addresses - where a server of Redis is: the addresses of its name, found without blocking, or the
 * path of its socket.
 */
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

struct redis_url;
struct lookup;

enum { ADDRESSES_MAX = 8 };

struct address {
	struct sockaddr_storage at;
	socklen_t len;
};

struct addresses {
	struct address all[ADDRESSES_MAX];
	size_t n;
	struct lookup *lookup; /* under way; NULL: none */
};

/* why is NULL if there is at least one address; otherwise a reason, borrowed for the call. */
typedef void (*addresses_fn)(void *arg, const char *why);

/*
 * addresses_find - finds the addresses of url, which replace those of before. on_found is called
 * once: from the loop if a name must be resolved, otherwise before the call returns. One lookup at
 * a time: the last one must be over, or forgotten.
 */
void addresses_find(struct addresses *as, uv_loop_t *loop, const struct redis_url *url,
		    addresses_fn on_found, void *arg);

/* addresses_forget - the lookup, if one is under way: on_found is not called any more. */
void addresses_forget(struct addresses *as);

#endif
