#ifndef SLUICE_ROUTE_SESSIONS_H
#define SLUICE_ROUTE_SESSIONS_H

/*
 * sessions - what Redis says of a cookie: whose session is it? Many who ask at the same time, or
 * within a second, share one answer.
 */
#include <uv.h>

#include "auth/credential.h"
#include "base/list.h"
#include "hub/hub.h"

struct sessions;

/* Somebody who waits for an answer. The fields belong to sessions.c. */
struct session_waiter {
	struct list of_entry;
	/* Called once, later, never with SESSION_ASKED. The answer is borrowed. The waiter may be
	 * freed. */
	void (*on_known)(struct session_waiter *waiter, const struct session_answer *answer);
};

/* sessions_new - hub is borrowed. Returns 0, -ENOMEM. */
int sessions_new(struct sessions **out, struct hub *hub, uv_loop_t *loop);

/*
 * sessions_set - the settings from now on, borrowed; what is known is forgotten. Who waits is told
 * SESSION_AWAY before this returns: what was asked by other settings is no answer.
 */
void sessions_set(struct sessions *sessions, const struct auth_settings *settings);

/*
 * sessions_ask - what is known at once, borrowed until control returns to the loop; or
 * SESSION_ASKED. sessions_forget_waiter: it is not to be told any more.
 */
struct session_answer
sessions_ask(struct sessions *sessions, const char *cookie, struct session_waiter *waiter);
void sessions_forget_waiter(struct session_waiter *waiter);

/* sessions_close - nobody may wait any more; on_closed when it is freed. */
void sessions_close(struct sessions *sessions, void (*on_closed)(void *arg), void *arg);

#endif
