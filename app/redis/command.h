#ifndef SLUICE_REDIS_COMMAND_H
#define SLUICE_REDIS_COMMAND_H

/*
 * command - asks Redis and gives the answers.
 *
 * In a cluster a command goes to the node that has the slot of its first key; a command without a
 * key goes to any. If a node redirects it, it is sent there. If it is put off, or its node is away,
 * it is sent again until its deadline.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/lane.h"

struct command;
struct node;

/*
 * command_new - tp is borrowed for its life. If a command is not answered within timeout_ms, the
 * link counts as broken.
 */
int command_new(struct command **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms);
void command_free(
    struct command *cmd); /* takes NULL; callbacks of pending commands are called with NULL */
bool command_is_up(const struct command *cmd);

/* command_on_up - fn is called whenever the link comes up, and may send commands. */
void command_on_up(struct command *cmd, void (*fn)(void *arg), void *arg);

/*
 * command_send - fn is called exactly once, and not before this returns; if this fails it is not
 * called. words are copied. The caller adds the prefix to keys. Returns 0, -ENOTCONN,
 * -ENOMEM, -EAGAIN while 100,000 are pending.
 */
int command_send(struct command *cmd, command_fn fn, void *arg, struct resp_words words);

/*
 * command_send_each - sends it to each server that is up. Returns how many times fn will be called.
 */
unsigned command_send_each(struct command *cmd, command_fn fn, void *arg, struct resp_words words);

/*
 * For a cluster: is told of changes to keys that were read with tracking. Both are called from the
 * loop.
 */
struct command_tracker {
	void (*on_key)(void *ctx, const char *key,
		       size_t len); /* the key changed; NULL: any key may have */
	void (*on_lost)(
	    void *ctx,
	    const struct node *node); /* changes of this node's keys are not reported any more */
};
void command_track(struct command *cmd, const struct command_tracker *tracker, void *ctx);
void command_untrack(struct command *cmd,
		     const void *ctx); /* does nothing if another tracker was set meanwhile */

/*
 * command_read - as command_send(), for a command that reads one key, whose next change is reported
 * once. *node is set just before fn is called: the node that will report it, or NULL if none does.
 */
int command_read(struct command *cmd, command_fn fn, void *arg, const struct node **node,
		 struct resp_words words);

#endif
