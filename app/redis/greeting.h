#ifndef SLUICE_REDIS_GREETING_H
#define SLUICE_REDIS_GREETING_H

/*
 * greeting - the first commands on every connection: AUTH, SELECT, CLIENT SETNAME, ROLE.
 */
#include <stdbool.h>

#include "redis/settings.h"

struct buf;
struct redisReply;

enum greeting_result { GREETING_MORE, GREETING_DONE, GREETING_REFUSED };

struct greeting {
	const char *steps[4]; /* names of the commands whose replies have not come yet */
	unsigned n_steps, at;
	bool takes_replica;
	char why[160];
};

/*
 * greeting_send - appends the commands to out. The password is the URL's or, if it has none, the
 * first line of rs->password_file, which is read each time. Returns 0, -ENOMEM, or the negative
 * errno of the file; then *why says which.
 */
int greeting_send(struct greeting *g, struct buf *out, const struct redis_settings *rs,
		  const struct redis_url *url, const char **why);

/* greeting_reply - takes the next reply; *why is set if it is a refusal, and lives as long as g. */
enum greeting_result
greeting_reply(struct greeting *g, const struct redisReply *reply, const char **why);

/* role_is_replica - does this answer to ROLE come from a replica? */
bool role_is_replica(const struct redisReply *reply);

#endif
