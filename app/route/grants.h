#ifndef SLUICE_ROUTE_GRANTS_H
#define SLUICE_ROUTE_GRANTS_H

/*
 * grants - what open streams were granted, for as long as they are open: a place within the limits,
 * and a credential that still holds.
 */
#include <uv.h>

#include "auth/identity.h"
#include "hub/hub.h"
#include "route/route.h"
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

/*
 * grants_take - for a stream of the route that this client is to have. Returns 0 and *out, which is
 * NULL if nothing needs to be held; 429 over a limit, with which in *why (a constant); -ENOMEM.
 */
int grants_take(struct grant **out, struct grants *grants, const struct route *rt,
		const struct identity *id, const char *address, const char **why);

/* grants_keep - for as long as sub, which has joined its feed, is open: it takes grant over, also
 * on failure. Returns 0, -ENOMEM. */
int grants_keep(struct grant *grant, struct subscriber *sub);
void grants_give_back(struct grant *grant); /* the stream did not come about; takes NULL */

/* grants_close - no stream is open any more; on_closed when it is freed. */
void grants_close(struct grants *grants, void (*on_closed)(void *arg), void *arg);

#endif
