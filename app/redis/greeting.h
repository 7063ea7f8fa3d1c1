#ifndef SLUICE_REDIS_GREETING_H
#define SLUICE_REDIS_GREETING_H

/*
 * greeting - what is said first on every connection: AUTH, SELECT, CLIENT SETNAME.
 */
#include "redis/link.h"

struct redisContext;

enum greeting_result { GREETING_MORE, GREETING_DONE, GREETING_REFUSED };

struct greeting {
	const char *steps[3]; /* the names of the commands whose replies are awaited */
	unsigned n_steps, at;
	char why[160];
};

/*
 * greeting_send - queue the commands on rc. The password is the URL's or, if it has none, the first
 * line of rs->password_file, read anew each time. Returns 0, -ENOMEM, or the negative errno of the
 * file; *why then says which.
 */
int greeting_send(struct greeting *g, struct redisContext *rc, const struct redis_settings *rs,
		  const struct redis_url *url, const char **why);

/* greeting_reply - the next reply; *why is set when it is a refusal, and lives as long as g. */
enum greeting_result
greeting_reply(struct greeting *g, const struct redisReply *reply, const char **why);

#endif
