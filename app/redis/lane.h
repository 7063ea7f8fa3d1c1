#ifndef SLUICE_REDIS_LANE_H
#define SLUICE_REDIS_LANE_H

/*
 * lane - sends commands to one server and gives the answers, pipelined on one link.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/link.h"

struct lane;

/*
 * reply is borrowed; NULL: there will be no answer (the link broke, or the deadline passed), and it
 * is not known if the command was done.
 */
typedef void (*command_fn)(void *arg, const struct redisReply *reply);

struct lane_ops {
	void (*on_up)(void *ctx); /* commands may be sent then */
	/* What was sent is called with NULL next. */
	void (*on_down)(void *ctx);
};

/* lane_new - tp is borrowed for its life. A command unanswered for timeout_ms fails the link. */
int lane_new(struct lane **out, uv_loop_t *loop, struct topology *tp, unsigned timeout_ms,
	     const struct lane_ops *ops, void *ctx);
void lane_free(struct lane *ln); /* takes NULL; what is pending is called with NULL */
bool lane_is_up(const struct lane *ln);
bool lane_is_idle(const struct lane *ln); /* nothing is pending */

/*
 * lane_send - fn, which may be NULL, is called exactly once, never before this returns, unless it
 * fails. words are copied. Returns 0, -ENOTCONN, -ENOMEM, -EAGAIN while 100,000 are
 * pending.
 */
int lane_send(struct lane *ln, command_fn fn, void *arg, struct resp_words words);

/* lane_send_bytes - one command as resp_put_command() has written it. */
int lane_send_bytes(struct lane *ln, command_fn fn, void *arg, const char *bytes, size_t len);

#endif
