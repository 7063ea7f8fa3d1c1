#ifndef SLUICE_ROUTE_SESSIONS_H
#define SLUICE_ROUTE_SESSIONS_H

/*
 * sessions - what Redis says of a cookie: whose session is it? Many who ask at the same time, or
 * within a second, share one answer.
 */
#include <uv.h>

#include "auth/identity.h"
#include "auth/settings.h"
#include "base/list.h"
#include "hub/hub.h"

struct sessions;

enum session_state {
	SESSION_THERE, /* with an identity */
	SESSION_NONE,  /* there is none, or it names no user */
	SESSION_AWAY,  /* Redis does not say */
	SESSION_ASKED  /* the waiter will be told */
};

/* Who waits for an answer. The fields are sessions'. */
struct session_waiter {
	struct list of_entry;
	/* Called once, later; id is borrowed, NULL but for SESSION_THERE. The waiter may be freed.
	 */
	void (*on_known)(struct session_waiter *waiter, enum session_state state,
			 const struct identity *id);
};

/* sessions_new - hub is borrowed. Returns 0, -ENOMEM. */
int sessions_new(struct sessions **out, struct hub *hub, uv_loop_t *loop);

/* sessions_set - the settings from now on, borrowed; what is known is forgotten. */
void sessions_set(struct sessions *sessions, const struct auth_settings *settings);

/*
 * sessions_ask - what is known at once, with *id borrowed until control returns to the loop for
 * SESSION_THERE; or SESSION_ASKED. sessions_forget_waiter: it is not to be told any more.
 */
enum session_state sessions_ask(struct sessions *sessions, const char *cookie,
				struct session_waiter *waiter, const struct identity **id);
void sessions_forget_waiter(struct session_waiter *waiter);

/* sessions_close - nobody may wait any more; on_closed when it is freed. */
void sessions_close(struct sessions *sessions, void (*on_closed)(void *arg), void *arg);

#endif
