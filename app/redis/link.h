#ifndef SLUICE_REDIS_LINK_H
#define SLUICE_REDIS_LINK_H

/*
 * link - one connection to Redis that stays up by itself.
 *
 * It connects, says AUTH and SELECT, makes sure that it is a primary, watches that answers come,
 * and on any trouble starts anew after a pause that doubles from 100 ms to 2 s with jitter, where
 * its topology says. The bytes are those of a redis/socket.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "redis/resp.h"
#include "redis/topology.h"

struct redisReply;
struct link;

struct link_ops {
	void (*on_up)(
	    void *ctx); /* it is authorised and the database is selected: commands may be sent */
	void (*on_down)(void *ctx, const char *why); /* called once for each on_up; commands that
							were sent get no answer */
	/* A reply, in the order of the commands, or a pub/sub push. Borrowed until it returns. */
	void (*on_reply)(void *ctx, const struct redisReply *reply);
	/*
	 * Nothing has arrived for a while: send a command that is answered, or the link is given
	 * up.
	 */
	void (*on_quiet)(void *ctx);
};

/*
 * link_new - begins to connect. tp and name, which stands in log lines, are borrowed for the link's
 * life. Returns 0, -ENOMEM or what libuv said.
 */
int link_new(struct link **out, uv_loop_t *loop, const char *name, struct topology *tp,
	     const struct link_ops *ops, void *ctx);

/*
 * link_send - queues one command; the commands of one turn are sent in one write. Returns 0,
 * -ENOTCONN, -ENOMEM.
 */
int link_send(struct link *ln, struct resp_words words);

/* link_send_bytes - commands as resp_put_command() has written them. Errors as link_send(). */
int link_send_bytes(struct link *ln, const char *bytes, size_t len);

bool link_is_up(const struct link *ln);

/* link_url - the server that it is connected to, or tries. */
const struct redis_url *link_url(const struct link *ln);

/*
 * link_fail - what the server sent makes no sense: logs why, closes the connection, and connects
 * anew after the pause.
 */
void link_fail(struct link *ln, const char *why);

/* link_leave_server - the server turns out to be a replica: all links of the topology leave it. */
void link_leave_server(struct link *ln, const char *why);

/*
 * link_hasten - for tests: in all links pauses and the time without an answer pass this many times
 * as fast.
 */
void link_hasten(unsigned times);

/*
 * link_free - takes NULL. No callback is called after it; the memory is freed when libuv has closed
 * the handles.
 */
void link_free(struct link *ln);

#endif
