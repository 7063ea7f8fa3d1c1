#include "redis/greeting.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "redis/resp.h"

enum { PASSWORD_MAX = 4096, WORDS_MAX = 3 };

static const char set_name[] = "CLIENT", role[] = "ROLE";

static int
say(struct greeting *g, struct buf *out, struct resp_words words)
{
	g->steps[g->n_steps++] = words.v[0];
	return resp_put_command(out, words);
}

/* Its first line, which an editor may have ended with CR LF. */
static int
read_password(const char *path, char *out, size_t max)
{
	FILE *f = fopen(path, "re");
	int rc = 0;

	if (f == NULL)
		return -errno;
	if (fgets(out, (int)max, f) == NULL)
		rc = -ENODATA;
	else
		out[strcspn(out, "\r\n")] = '\0';
	fclose(f);
	return rc;
}

int
greeting_send(struct greeting *g, struct buf *out, const struct redis_settings *rs,
	      const struct redis_url *url, const char **why)
{
	const char *argv[WORDS_MAX] = {"AUTH"}, *password = url->password;
	char from_file[PASSWORD_MAX], db[16];
	int ret = 0, argc = 1;

	memset(g, 0, sizeof(*g));
	g->takes_replica = rs->is_of_map;
	*why = "out of memory";
	if (password == NULL && rs->password_file != NULL) {
		if ((ret = read_password(rs->password_file, from_file, sizeof(from_file))) < 0) {
			*why = "password_file cannot be read";
			return ret;
		}
		password = from_file;
	}
	if (password == NULL && url->user != NULL) {
		*why = "its URL names a user, but neither it nor password_file a password";
		return -EINVAL;
	}
	if (password != NULL) {
		if (url->user != NULL)
			argv[argc++] = url->user;
		argv[argc++] = password;
		ret = say(g, out, (struct resp_words){argc, argv, NULL});
	}
	if (ret == 0 && url->db > 0) {
		snprintf(db, sizeof(db), "%d", url->db);
		ret = say(g, out, RESP_WORDS("SELECT", db));
	}
	if (ret == 0)
		ret = say(g, out, RESP_WORDS(set_name, "SETNAME", "sluice"));
	if (ret == 0)
		ret = say(g, out, RESP_WORDS(role));
	explicit_bzero(from_file, sizeof(from_file));
	return ret;
}

/*
 * The name only helps those who read CLIENT LIST. If the ACL does not allow ROLE, the server counts
 * as a primary. But some errors concern the connection and not the command.
 */
static bool
is_refusal(const char *step, const struct redisReply *reply)
{
	static const char *const of_connection[] = {"NOAUTH ", "DENIED ",
						    "ERR max number of clients"};
	size_t i;

	if (reply->type != REDIS_REPLY_ERROR)
		return false;
	for (i = 0; i < sizeof(of_connection) / sizeof(of_connection[0]); i++) {
		if (strncmp(reply->str, of_connection[i], strlen(of_connection[i])) == 0)
			return true;
	}
	return step != set_name && step != role;
}

bool
role_is_replica(const struct redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
	       reply->element[0]->type == REDIS_REPLY_STRING &&
	       strcmp(reply->element[0]->str, "slave") == 0;
}

enum greeting_result
greeting_reply(struct greeting *g, const struct redisReply *reply, const char **why)
{
	const char *step;

	if (g->at < g->n_steps && g->steps[g->at] == role && !g->takes_replica &&
	    role_is_replica(reply)) {
		*why = "it is a replica, and only a primary is served from";
		return GREETING_REFUSED;
	}
	if (g->at == g->n_steps || (g->steps[g->at] != role && reply->type != REDIS_REPLY_STATUS &&
				    reply->type != REDIS_REPLY_ERROR)) {
		*why = "it answered what nobody asked";
		return GREETING_REFUSED;
	}
	step = g->steps[g->at++];
	if (is_refusal(step, reply)) {
		snprintf(g->why, sizeof(g->why), "%s is refused: %s", step, reply->str);
		*why = g->why;
		return GREETING_REFUSED;
	}
	return g->at == g->n_steps ? GREETING_DONE : GREETING_MORE;
}
