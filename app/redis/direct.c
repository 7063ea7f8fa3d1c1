#include "redis/direct.h"

#include <errno.h>
#include <hiredis.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "redis/greeting.h"
#include "redis/keys.h"
#include "redis/sentinel.h"
#include "redis/slot_map.h"
#include "redis/transport.h"

enum { OUT_MAX = 256 * 1024 * 1024, READ_SIZE = 16384, AGAIN_MS = 50 };

/* A connection of the command line. It may block until its deadline. */
struct direct {
	struct transport transport;
	redisReader *reader;
	struct buf out;
	int64_t until_ms;
	const char *why;
};

/* Returns 0 once the descriptor is ready, -ETIMEDOUT. */
static int
wait_ready(struct direct *d, short events)
{
	struct pollfd pfd = {.fd = d->transport.fd, .events = events};
	int64_t left;

	if (d->transport.wants_write)
		pfd.events |= POLLOUT;
	do {
		left = d->until_ms - (int64_t)clock_ms();
		if (left <= 0) {
			d->why = "no answer within connect_timeout";
			return -ETIMEDOUT;
		}
	} while (poll(&pfd, 1, (int)left) <= 0);
	return 0;
}

/* Returns 0, or a negative errno and d->why. */
static int
connect_to(struct direct *d, const struct sockaddr *at, socklen_t len, struct tls *tls,
	   const char *host)
{
	int rc = transport_connect(&d->transport, at, len, tls, host);

	d->why = d->transport.why;
	if (rc < 0)
		return rc;
	do {
		if ((rc = wait_ready(d, POLLIN)) < 0) {
			d->why = d->transport.is_connected
				     ? "no TLS handshake within connect_timeout: does it "
				       "speak TLS there?"
				     : "no connection within connect_timeout";
			return rc;
		}
	} while ((rc = transport_handshake(&d->transport)) == -EAGAIN);
	return rc;
}

static int
connect_name(struct direct *d, const struct redis_url *url, struct tls *tls)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *all, *ai;
	char port[16];
	int rc;

	snprintf(port, sizeof(port), "%d", url->port);
	if ((rc = getaddrinfo(url->host, port, &hints, &all)) != 0) {
		d->why = gai_strerror(rc);
		return -ENOENT;
	}
	rc = -ENOENT;
	for (ai = all; ai != NULL && rc < 0; ai = ai->ai_next) {
		transport_close(&d->transport);
		rc = connect_to(d, ai->ai_addr, ai->ai_addrlen, tls, url->host);
	}
	freeaddrinfo(all);
	return rc;
}

static int
connect_url(struct direct *d, const struct redis_url *url, struct tls *tls)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	if (url->path == NULL)
		return connect_name(d, url, tls);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", url->path);
	return connect_to(d, (struct sockaddr *)&sun, sizeof(sun), NULL, NULL);
}

static int
write_out(struct direct *d)
{
	ssize_t n;

	while (d->out.len > 0) {
		n = transport_write(&d->transport, d->out.p, d->out.len);
		if (n > 0) {
			buf_consume(&d->out, (size_t)n);
		} else if (n != -EAGAIN) {
			d->why = d->transport.why;
			return (int)n;
		} else if (wait_ready(d, POLLOUT) < 0) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

static int
read_more(struct direct *d)
{
	char bytes[READ_SIZE];
	ssize_t n;

	while ((n = transport_read(&d->transport, bytes, sizeof(bytes))) == -EAGAIN) {
		if (wait_ready(d, POLLIN) < 0)
			return -ETIMEDOUT;
	}
	if (n < 0) {
		d->why = d->transport.why;
		return (int)n;
	}
	return redisReaderFeed(d->reader, bytes, (size_t)n) == REDIS_OK ? 0 : -ENOMEM;
}

/* Returns the next reply, which is the caller's; NULL, with d->why. */
static redisReply *
next_reply(struct direct *d)
{
	void *reply = NULL;

	while (reply == NULL) {
		if (redisReaderGetReply(d->reader, &reply) != REDIS_OK) {
			d->why = "what it sent is no Redis protocol";
			return NULL;
		}
		if (reply == NULL && read_more(d) < 0)
			return NULL;
	}
	return reply;
}

static int
greet(struct direct *d, const struct redis_settings *rs, const struct redis_url *url,
      struct greeting *g)
{
	enum greeting_result result = GREETING_MORE;
	redisReply *reply;

	if (greeting_send(g, &d->out, rs, url, &d->why) < 0 || write_out(d) < 0)
		return -1;
	while (result == GREETING_MORE) {
		if ((reply = next_reply(d)) == NULL)
			return -1;
		result = greeting_reply(g, reply, &d->why);
		freeReplyObject(reply);
	}
	return result == GREETING_DONE ? 0 : -1;
}

/* The command, and the reasons why it was not answered. */
struct direct_question {
	struct resp_words words;
	struct tls *tls; /* NULL: no URL needed it yet */
	char *why;
	size_t why_len;
	bool is_asking; /* ASK: the slot is just being moved to this node */
};

static redisReply *
ask(struct direct *d, const struct direct_question *q)
{
	redisReply *reply;

	d->why = "out of memory";
	if ((q->is_asking && resp_put_command(&d->out, RESP_WORDS("ASKING")) < 0) ||
	    resp_put_command(&d->out, q->words) < 0 || write_out(d) < 0)
		return NULL;
	if (q->is_asking) {
		if ((reply = next_reply(d)) == NULL)
			return NULL;
		freeReplyObject(reply);
	}
	return next_reply(d);
}

static void
add_why(char *why, size_t len, const struct redis_url *url, const char *text)
{
	size_t used = strlen(why);
	char where[256];

	snprintf(why + used, len - used, "%sRedis (%s): %s", used > 0 ? "\n" : "",
		 redis_url_print(url, where, sizeof(where)), text);
}

static struct redisReply *
try_url(struct direct_question *q, const struct redis_settings *rs, const struct redis_url *url)
{
	struct direct d = {.until_ms = (int64_t)clock_ms() + rs->connect_timeout_ms,
			   .why = "out of memory"};
	struct greeting g;
	redisReply *reply = NULL;

	transport_init(&d.transport);
	buf_init(&d.out, OUT_MAX);
	if ((d.reader = redisReaderCreate()) != NULL &&
	    connect_url(&d, url, url->is_tls ? q->tls : NULL) == 0 && greet(&d, rs, url, &g) == 0) {
		d.until_ms = (int64_t)clock_ms() + rs->connect_timeout_ms;
		reply = ask(&d, q);
	}
	if (reply == NULL)
		add_why(q->why, q->why_len, url, d.why);
	transport_close(&d.transport);
	buf_fini(&d.out);
	if (d.reader != NULL)
		redisReaderFree(d.reader);
	return reply;
}

static redisReply *
ask_url(struct direct_question *q, const struct redis_settings *rs, const struct redis_url *url)
{
	char tls_why[256];

	if (url->is_tls && q->tls == NULL &&
	    tls_new(&q->tls, &rs->tls, tls_why, sizeof(tls_why)) < 0) {
		add_why(q->why, q->why_len, url, tls_why);
		return NULL;
	}
	return try_url(q, rs, url);
}

/* Asks the server that the nth sentinel names. */
static redisReply *
ask_sentinel(struct direct_question *q, const struct redis_settings *rs, size_t nth)
{
	struct direct_question where = {
	    RESP_WORDS("SENTINEL", "get-master-addr-by-name", rs->sentinel_master), q->tls, q->why,
	    q->why_len, false};
	struct redis_settings sentinel;
	struct redis_url url = rs->urls[0];
	redisReply *named, *reply = NULL;
	const char *host;

	if (sentinel_settings(&sentinel, rs, nth) < 0)
		return NULL;
	named = ask_url(&where, &sentinel, &sentinel.urls[0]);
	q->tls = where.tls;
	if (named != NULL && (host = sentinel_read(named, &url.port)) != NULL) {
		url.host = (char *)host;
		reply = ask_url(q, rs, &url);
	} else if (named != NULL) {
		add_why(q->why, q->why_len, &sentinel.urls[0],
			"this sentinel names no primary for sentinel_master");
	}
	if (named != NULL)
		freeReplyObject(named);
	free(sentinel.urls);
	return reply;
}

/* Where this reply redirects the command. Returns false if it does not: the reply is the answer. */
static bool
find_next(struct direct_question *q, struct redis_url *url, char *host, size_t host_len,
	  const redisReply *reply)
{
	const struct timespec moment = {.tv_nsec = AGAIN_MS * 1000000L};
	struct redirect to;
	enum redirect_kind kind = redirect_read(&to, reply);

	q->is_asking = kind == REDIRECT_ASK;
	if (kind == REDIRECT_NONE)
		return false;
	if (kind == REDIRECT_WAIT) {
		nanosleep(&moment, NULL);
		return true;
	}
	if (*to.to.host != '\0') {
		snprintf(host, host_len, "%s", to.to.host);
		url->host = host;
	}
	url->port = to.to.port;
	return true;
}

/*
 * Asks a node which node has the slot of the first key. If a message for a sharded channel were
 * published at a replica, nobody would receive it.
 */
static void
find_node(struct direct_question *q, const struct redis_settings *rs, struct redis_url *url,
	  char host[SLOT_HOST_MAX])
{
	struct direct_question where = {RESP_WORDS("CLUSTER", "SLOTS"), q->tls, q->why, q->why_len,
					false};
	int key = keys_first(q->words.n, q->words.v);
	struct slot_map *map = malloc(sizeof(*map));
	redisReply *reply = NULL;
	unsigned place;

	if (key > 0 && map != NULL && (reply = ask_url(&where, rs, url)) != NULL &&
	    slot_map_read(map, reply, url->host) == 0 &&
	    (place = map->of[slot_of(q->words.v[key], resp_word_len(q->words, key))]) > 0) {
		snprintf(host, SLOT_HOST_MAX, "%s", map->nodes[place - 1].host);
		url->host = host;
		url->port = map->nodes[place - 1].port;
	}
	q->tls = where.tls;
	freeReplyObject(reply);
	free(map);
}

/* Asks the nth node of url which node to ask, and then follows redirects. */
static redisReply *
ask_cluster(struct direct_question *q, const struct redis_settings *rs, size_t nth)
{
	struct redis_settings node = *rs;
	struct redis_url url = rs->urls[0];
	int64_t until_ms = (int64_t)clock_ms() + rs->connect_timeout_ms;
	char host[SLOT_HOST_MAX];
	redisReply *reply;

	node.is_of_map = true; /* a replica redirects to the primary */
	url.host = rs->urls[nth].host;
	url.port = rs->urls[nth].port;
	q->is_asking = false;
	find_node(q, &node, &url, host);
	while ((reply = ask_url(q, &node, &url)) != NULL && (int64_t)clock_ms() < until_ms &&
	       find_next(q, &url, host, sizeof(host), reply))
		freeReplyObject(reply);
	return reply;
}

/* The nth URL is that of a server, a sentinel, or a node of a cluster. */
static redisReply *
ask_nth(struct direct_question *q, const struct redis_settings *rs, size_t nth)
{
	if (rs->sentinel_master != NULL)
		return ask_sentinel(q, rs, nth);
	return rs->is_cluster ? ask_cluster(q, rs, nth) : ask_url(q, rs, &rs->urls[nth]);
}

int
redis_direct(const struct redis_settings *rs, struct resp_words words, struct redisReply **out,
	     char *why, size_t why_len)
{
	struct direct_question q = {words, NULL, why, why_len, false};
	size_t i;

	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to a descriptor that may be closed */
	*out = NULL;
	why[0] = '\0';
	for (i = 0; i < rs->n_urls && *out == NULL; i++)
		*out = ask_nth(&q, rs, i);
	tls_free(q.tls);
	return *out != NULL ? 0 : -ENOTCONN;
}
