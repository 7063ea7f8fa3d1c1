#ifndef SLUICE_REDIS_LINK_H
#define SLUICE_REDIS_LINK_H

/*
 * link - one connection to Redis that stays up by itself.
 *
 * It resolves the name without blocking (uv_getaddrinfo), connects, says AUTH
 * and SELECT, makes sure that it is a primary, watches that answers come, and on any trouble starts
 * anew after a pause that doubles from 100 ms to 2 s with jitter, where its topology says.
 *
 * hiredis serves as the protocol: its reply reader, and not redisAsyncContext, whose 0.14 aborts
 * the process on replies that a broken or false Redis may send, hands a message of an unknown
 * channel to another channel's callback, and cuts the connection on one refused SUBSCRIBE.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "redis/topology.h"

struct redisReply;
struct link;

struct link_ops {
	void (*on_up)(void *ctx); /* authorised and selected: commands may be sent */
	void (*on_down)(void *ctx,
			const char *why); /* once for each on_up; what was sent has no answer */
	/* A reply, in the order of the commands, or a pub/sub push. Borrowed until it returns. */
	void (*on_reply)(void *ctx, const struct redisReply *reply);
	/* Nothing was heard for a while: send something that is answered, or the link is given up.
	 */
	void (*on_quiet)(void *ctx);
};

/*
 * link_new - begins to connect. tp and name, which stands in log lines, are borrowed for the link's
 * life. Returns 0, -ENOMEM or what libuv said.
 */
int link_new(struct link **out, uv_loop_t *loop, const char *name, struct topology *tp,
	     const struct link_ops *ops, void *ctx);

/* link_send - queue one command; commands of one turn leave in one write. 0, -ENOTCONN, -ENOMEM. */
int link_send(struct link *ln, int argc, const char *const *argv, const size_t *lens);

/* link_send_bytes - commands as resp_put_command() has written them. Errors as link_send(). */
int link_send_bytes(struct link *ln, const char *bytes, size_t len);

bool link_is_up(const struct link *ln);

/* link_url - where it is, or tries to be. */
const struct redis_url *link_url(const struct link *ln);

/* link_fail - what it said makes no sense: log why, drop the connection, connect anew after the
 * pause. */
void link_fail(struct link *ln, const char *why);

/* link_leave_server - where it is up is none to be at, a replica: all links of its topology go. */
void link_leave_server(struct link *ln, const char *why);

/* link_hasten - for tests: pauses and the watch over silence pass so many times as fast, in every
 * link. */
void link_hasten(unsigned times);

/* link_free - takes NULL. No callback comes after it; the memory goes when libuv has let go of it.
 */
void link_free(struct link *ln);

#endif
