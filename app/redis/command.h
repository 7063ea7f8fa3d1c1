#ifndef SLUICE_REDIS_COMMAND_H
#define SLUICE_REDIS_COMMAND_H

/*
 * command - everything that is asked of Redis and answered.
 *
 * In a cluster a command goes to the node that has the slot of its first key, and one without a key
 * to any. Where the cluster sends it elsewhere it goes; what is put off, or whose node is away, is
 * said again until its deadline.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/lane.h"

struct command;
struct node;

/* command_new - tp is borrowed for its life. A command unanswered for timeout_ms fails the link. */
int command_new(struct command **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms);
void command_free(struct command *cmd); /* takes NULL; what is pending is called with NULL */
bool command_is_up(const struct command *cmd);

/* command_on_up - fn is called whenever it comes up; commands may be sent then. */
void command_on_up(struct command *cmd, void (*fn)(void *arg), void *arg);

/*
 * command_send - fn is called exactly once, never before this returns, unless it fails.
 * argv and lens are copied. The caller adds the prefix. Returns 0, -ENOTCONN, -ENOMEM,
 * -EAGAIN while 100,000 are pending.
 */
int command_send(struct command *cmd, command_fn fn, void *arg, int argc, const char *const *argv,
		 const size_t *lens);

/* command_send_each - to each server that is up. Returns how many times fn will be called. */
unsigned
command_send_each(struct command *cmd, command_fn fn, void *arg, int argc, const char *const *argv);

/* In a cluster: who is told of what was read tracked. Both come from the loop. */
struct command_tracker {
	void (*on_key)(void *ctx, const char *key, size_t len); /* it changed; NULL: any did */
	void (*on_lost)(void *ctx, const struct node *node);    /* what it has is not told of */
};
void command_track(struct command *cmd, const struct command_tracker *tracker, void *ctx);
void command_untrack(struct command *cmd, const void *ctx); /* unless another one is told by now */

/*
 * command_read - as command_send(), of a reading command of one key, whose next change is told
 * once. *node is set just before fn is called: to who will tell, or NULL if nobody does.
 */
int command_read(struct command *cmd, command_fn fn, void *arg, const struct node **node, int argc,
		 const char *const *argv);

#endif
