#include "redis/direct.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "redis/greeting.h"

static redisContext *
connect_url(const struct redis_settings *rs, const struct redis_url *url)
{
	struct timeval tv = {.tv_sec = (time_t)(rs->connect_timeout_ms / 1000),
			     .tv_usec = (suseconds_t)(rs->connect_timeout_ms % 1000) * 1000};
	redisContext *rc = url->path != NULL ? redisConnectUnixWithTimeout(url->path, tv)
					     : redisConnectWithTimeout(url->host, url->port, tv);

	if (rc != NULL && rc->err == 0)
		redisSetTimeout(rc, tv);
	return rc;
}

/* Returns 0, or -1 and *why. */
static int
greet(redisContext *rc, const struct redis_settings *rs, const struct redis_url *url,
      struct greeting *g, const char **why)
{
	enum greeting_result result = GREETING_MORE;
	void *reply;

	if (greeting_send(g, rc, rs, url, why) < 0)
		return -1;
	while (result == GREETING_MORE) {
		if (redisGetReply(rc, &reply) != REDIS_OK) {
			*why = rc->errstr;
			return -1;
		}
		result = greeting_reply(g, reply, why);
		freeReplyObject(reply);
	}
	return result == GREETING_DONE ? 0 : -1;
}

static void
add_why(char *why, size_t len, const struct redis_url *url, const char *text)
{
	size_t used = strlen(why);
	const char *sep = used > 0 ? "\n" : "";

	if (url->path != NULL)
		snprintf(why + used, len - used, "%sRedis (%s): %s", sep, url->path, text);
	else
		snprintf(why + used, len - used, "%sRedis (%s:%d): %s", sep, url->host, url->port,
			 text);
}

static struct redisReply *
try_url(const struct redis_settings *rs, const struct redis_url *url, int argc,
	const char *const *argv, const size_t *lens, char *why, size_t why_len)
{
	redisContext *rc = connect_url(rs, url);
	struct greeting g;
	const char *text = "out of memory";
	void *reply = NULL;

	if (rc == NULL || rc->err != 0)
		add_why(why, why_len, url, rc == NULL ? text : rc->errstr);
	else if (greet(rc, rs, url, &g, &text) < 0)
		add_why(why, why_len, url, text);
	else if ((reply = redisCommandArgv(rc, argc, (const char **)argv, lens)) == NULL)
		add_why(why, why_len, url, rc->errstr);
	if (rc != NULL)
		redisFree(rc);
	return reply;
}

int
redis_direct(const struct redis_settings *rs, int argc, const char *const *argv, const size_t *lens,
	     struct redisReply **out, char *why, size_t why_len)
{
	size_t i;

	why[0] = '\0';
	for (i = 0; i < rs->n_urls; i++) {
		*out = try_url(rs, &rs->urls[i], argc, argv, lens, why, why_len);
		if (*out != NULL)
			return 0;
	}
	return -ENOTCONN;
}
