#ifndef SLUICE_REDIS_LINK_H
#define SLUICE_REDIS_LINK_H

/*
 * link - one connection to Redis that stays up by itself.
 *
 * It resolves the name without blocking (uv_getaddrinfo), connects, says AUTH
 * and SELECT, watches that answers come, and on any trouble starts anew after a
 * pause that doubles from 100 ms to 5 s with jitter, with the next URL.
 *
 * hiredis serves as the protocol: redisContext in its non-blocking form and its
 * reply reader, not redisAsyncContext, whose 0.14 aborts the process on replies
 * that a broken or false Redis may send, hands a message of an unknown channel
 * to another channel's callback, and cuts the connection on one refused SUBSCRIBE.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct redisReply;
struct link;

struct redis_url {
	char *host; /* NULL for a Unix socket */
	char *path; /* NULL for TCP */
	int port;
	char *user, *password; /* each may be NULL */
	int db;
};

/*
 * redis_url_parse - redis://[user[:password]@]host[:port][/db], rediss://…,
 * unix://[user[:password]@]/path[?db=N]; user and password percent-decoded;
 * host may be an IPv6 address in brackets. On failure *why says what is wrong
 * and what is allowed (a constant). Returns 0, -EINVAL, -ENOMEM; *out is the caller's.
 */
int redis_url_parse(struct redis_url *out, const char *text, const char **why);
void redis_url_fini(struct redis_url *url);

struct redis_settings {
	struct redis_url *urls;
	size_t n_urls;
	char *prefix;        /* put before every channel and key; never NULL */
	char *password_file; /* NULL, or read at each connect: the password of every URL without one
			      */
	unsigned connect_timeout_ms;
};
void redis_settings_fini(struct redis_settings *rs);
bool redis_settings_equal(const struct redis_settings *a, const struct redis_settings *b);

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
 * link_new - begins to connect. rs is borrowed for the link's life; name stands in log lines.
 * Returns 0, -ENOMEM or what libuv said.
 */
int link_new(struct link **out, uv_loop_t *loop, const char *name, const struct redis_settings *rs,
	     const struct link_ops *ops, void *ctx);

/* link_send - queue one command; commands of one turn leave in one write. 0, -ENOTCONN, -ENOMEM. */
int link_send(struct link *ln, int argc, const char *const *argv, const size_t *lens);

bool link_is_up(const struct link *ln);

/* link_fail - what it said makes no sense: log why, drop the connection, connect anew after the
 * pause. */
void link_fail(struct link *ln, const char *why);

/* link_hasten - for tests: pauses and the watch over silence pass so many times as fast, in every
 * link. */
void link_hasten(unsigned times);

/* link_free - takes NULL. No callback comes after it; the memory goes when libuv has let go of it.
 */
void link_free(struct link *ln);

#endif
