#ifndef SLUICE_ROUTE_SESSIONS_H
#define SLUICE_ROUTE_SESSIONS_H

/*
 * sessions - asks Redis for the session of a cookie. Those who ask at the same time share one
 * answer; a new request is given no answer that had come before it, for a session may begin and end
 * at any moment.
 */
#include <uv.h>

#include "auth/credential.h"
#include "base/list.h"
#include "hub/hub.h"

struct sessions;

/* Waits for an answer. The fields belong to sessions.c. */
struct session_waiter {
	struct list of_entry;
	/* Called once, later, never with SESSION_ASKED. The answer is borrowed. The waiter may be
	 * freed. */
	void (*on_known)(struct session_waiter *waiter, const struct session_answer *answer);
};

/* sessions_new - hub is borrowed. Returns 0, -ENOMEM. */
int sessions_new(struct sessions **out, struct hub *hub, uv_loop_t *loop);

/*
 * sessions_set - sets the settings from now on, borrowed; what is known is forgotten. Waiters are
 * told SESSION_AWAY before this returns, because an answer to other settings does not count.
 */
void sessions_set(struct sessions *sessions, const struct auth_settings *settings);

/*
 * Which answer is good enough: only one that Redis gives from now on, or also one that is at most a
 * second old.
 */
enum session_age { SESSION_ANEW, SESSION_RECENT };

/*
 * sessions_ask - returns what is known, borrowed until control returns to the loop; or
 * SESSION_ASKED. SESSION_RECENT is for a request that is served again, because the answer may have
 * been given to it. sessions_forget_waiter: it is told nothing any more.
 */
struct session_answer sessions_ask(struct sessions *sessions, const char *cookie,
				   enum session_age age, struct session_waiter *waiter);
void sessions_forget_waiter(struct session_waiter *waiter);

/* sessions_close - there must be no waiters; on_closed is called when it is freed. */
void sessions_close(struct sessions *sessions, void (*on_closed)(void *arg), void *arg);

#endif
