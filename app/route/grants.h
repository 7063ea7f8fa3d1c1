#ifndef SLUICE_ROUTE_GRANTS_H
#define SLUICE_ROUTE_GRANTS_H

/*
 * grants - what open streams hold while they are open: a place within the limits, and a credential
 * that must stay valid.
 */
#include <uv.h>

#include "auth/identity.h"
#include "hub/hub.h"
#include "route/request.h"
#include "route/sessions.h"

struct grants;
struct grant;

/* What they need besides a route's limits; borrowed. */
struct grant_settings {
	const struct auth_settings *auth;
	uint64_t max_subscribers; /* over all routes; 0: no limit */
};

int grants_new(struct grants **out, struct hub *hub, uv_loop_t *loop, struct sessions *sessions);
void grants_set(struct grants *grants, const struct grant_settings *settings);

enum { GRANTS_PROBE_MS = 1500 };

/*
 * grants_take - takes a place for the stream that this request asks for. Returns 0 and *out, which
 * is NULL if nothing needs to be held; 429 if a limit is reached, which *why (a constant) names;
 * -ENOMEM; or -EAGAIN, with *why as well: it is the limit of a user or an address, whose open
 * streams are probed now. If none of their clients has gone within GRANTS_PROBE_MS, the limit is
 * reached.
 */
int grants_take(struct grant **out, struct grants *grants, const struct request *req,
		const char *address, const char **why);

/*
 * grants_keep - holds grant while sub, which has joined its feed, is open. Takes it over, also on
 * failure. Returns 0, -ENOMEM.
 */
int grants_keep(struct grant *grant, struct subscriber *sub);
void grants_give_back(struct grant *grant); /* there is no stream after all; takes NULL */

/* grants_close - all streams have ended; on_closed is called when it is freed. */
void grants_close(struct grants *grants, void (*on_closed)(void *arg), void *arg);

#endif
