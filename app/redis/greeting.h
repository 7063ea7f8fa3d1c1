#ifndef SLUICE_REDIS_GREETING_H
#define SLUICE_REDIS_GREETING_H

/*
 * greeting - what is said first on every connection: AUTH, SELECT, CLIENT SETNAME, ROLE.
 */
#include <stdbool.h>

#include "redis/settings.h"

struct buf;
struct redisReply;

enum greeting_result { GREETING_MORE, GREETING_DONE, GREETING_REFUSED };

struct greeting {
	const char *steps[4]; /* the names of the commands whose replies are awaited */
	unsigned n_steps, at;
	bool takes_replica;
	char why[160];
};

/*
 * greeting_send - append the commands to out. The password is the URL's or, if it has none, the
 * first line of rs->password_file, read anew each time. Returns 0, -ENOMEM, or the negative errno
 * of the file; *why then says which.
 */
int greeting_send(struct greeting *g, struct buf *out, const struct redis_settings *rs,
		  const struct redis_url *url, const char **why);

/* greeting_reply - the next reply; *why is set when it is a refusal, and lives as long as g. */
enum greeting_result
greeting_reply(struct greeting *g, const struct redisReply *reply, const char **why);

/* role_is_replica - what ROLE answered. */
bool role_is_replica(const struct redisReply *reply);

#endif
