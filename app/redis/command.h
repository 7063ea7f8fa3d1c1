#ifndef SLUICE_REDIS_COMMAND_H
#define SLUICE_REDIS_COMMAND_H

/*
 * command - everything that is asked of Redis and answered: pipelined on one link.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/link.h"

struct command;

/* reply is borrowed; NULL: no answer will come (link lost, or the deadline passed), done or not
 * unknown. */
typedef void (*command_fn)(void *arg, const struct redisReply *reply);

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

#endif
