#ifndef SLUICE_ROUTE_GRANTS_H
#define SLUICE_ROUTE_GRANTS_H

/*
 * grants - what open streams were granted, for as long as they are open: a place within the limits,
 * and a credential that still holds.
 */
#include <uv.h>

#include "auth/identity.h"
#include "hub/hub.h"
#include "route/request.h"
#include "route/sessions.h"

struct grants;
struct grant;

/* What they ask of a stream, besides its route's limits; borrowed. */
struct grant_settings {
	const struct auth_settings *auth;
	uint64_t max_subscribers; /* of all routes; 0: no limit */
};

int grants_new(struct grants **out, struct hub *hub, uv_loop_t *loop, struct sessions *sessions);
void grants_set(struct grants *grants, const struct grant_settings *settings);

enum { GRANTS_PROBE_MS = 1500 };

/*
 * grants_take - for the stream of its route that this request asks for. Returns 0 and *out, which
 * is NULL if nothing needs to be held; 429 over a limit, with which in *why (a constant); -ENOMEM;
 * or -EAGAIN, with *why as well: it is the limit of a user or address, whose open streams are
 * probed now; if none of their clients has gone within GRANTS_PROBE_MS, it is over the limit.
 */
int grants_take(struct grant **out, struct grants *grants, const struct request *req,
		const char *address, const char **why);

/* grants_keep - for as long as sub, which has joined its feed, is open: it takes grant over, also
 * on failure. Returns 0, -ENOMEM. */
int grants_keep(struct grant *grant, struct subscriber *sub);
void grants_give_back(struct grant *grant); /* the stream did not come about; takes NULL */

/* grants_close - no stream is open any more; on_closed when it is freed. */
void grants_close(struct grants *grants, void (*on_closed)(void *arg), void *arg);

#endif
