#ifndef TESTS_FAKE_REDIS_H
#define TESTS_FAKE_REDIS_H

/*
 * fake_redis - a Redis that is only pretended: it lives in the loop of the test, answers as Redis
 * does, and breaks every rule when told to. What it heard, and what came back, are kept as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/counters.h"
#include "base/list.h"
#include "base/logger.h"
#include "redis/link.h"

enum { HASTE = 20, PATIENCE_MS = 10000 };

static const size_t MIB = (size_t)1 << 20;

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The loop */

static uv_loop_t loop;
static uv_timer_t waker; /* uv_run() comes back at least so often */

static inline void
on_wake(uv_timer_t *timer)
{
	(void)timer;
}

static inline uint64_t
now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static inline void
run_for(uint64_t ms)
{
	uint64_t until = now_ms() + ms;

	while (now_ms() < until)
		uv_run(&loop, UV_RUN_ONCE);
}

#define RUN_UNTIL(condition) \
	do { \
		uint64_t until_ = now_ms() + PATIENCE_MS; \
		while (!(condition)) { \
			if (now_ms() > until_) \
				fail_msg("waited in vain for %s; heard %s; seen %s", #condition, \
					 heard(), seen()); \
			uv_run(&loop, UV_RUN_ONCE); \
		} \
	} while (0)

/* The pretended Redis */

/* The first whose command begins so is answered with these bytes. */
struct rule {
	const char *command, *reply;
	size_t len;
	unsigned times; /* 0: always */
};

#define SAY(bytes) (bytes), sizeof(bytes) - 1

struct peer {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} at;
	struct list node;
	redisReader *reader;
	unsigned n_subscribed;
};

struct fake {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} at;
	char path[64];
	int port; /* 0: a Unix socket */
	struct list peers;
	unsigned n_accepted;
	bool is_deaf, hangs_up;
	struct rule rules[8];
	size_t n_rules;
};

static struct fake redis;
static struct buf heard_commands; /* "SUBSCRIBE a|PING|" */
static char folder[] = "/tmp/test-link-XXXXXX";

static inline const char *
text_of(struct buf *b)
{
	assert_int_equal(buf_putc(b, '\0'), 0);
	buf_truncate(b, b->len - 1);
	return b->p;
}

static inline const char *
heard(void)
{
	return text_of(&heard_commands);
}

static inline struct peer *
latest(void)
{
	return list_is_empty(&redis.peers) ? NULL : LIST_ENTRY(redis.peers.prev, struct peer, node);
}

static inline void
on_peer_closed(uv_handle_t *handle)
{
	struct peer *peer = (struct peer *)(void *)handle;

	redisReaderFree(peer->reader);
	free(peer);
}

static inline void
hang_up(struct peer *peer)
{
	if (peer == NULL || uv_is_closing((uv_handle_t *)&peer->at))
		return;
	list_del(&peer->node);
	uv_close((uv_handle_t *)&peer->at, on_peer_closed);
}

static inline void
on_written(uv_write_t *req, int status)
{
	(void)status;
	free(req);
}

static inline void
push(struct peer *peer, const char *bytes, size_t len)
{
	uv_write_t *req = malloc(sizeof(*req) + len);
	uv_buf_t b;

	assert_non_null(peer);
	assert_non_null(req);
	memcpy(req + 1, bytes, len);
	b = uv_buf_init((char *)(req + 1), (unsigned)len);
	assert_int_equal(uv_write(req, &peer->at.stream, &b, 1, on_written), 0);
}

static inline void
push_text(struct peer *peer, const char *text)
{
	push(peer, text, strlen(text));
}

static inline void
put_bulk(struct buf *out, const char *p, size_t len)
{
	assert_int_equal(buf_printf(out, "$%zu\r\n", len), 0);
	assert_int_equal(buf_put(out, p, len), 0);
	assert_int_equal(buf_puts(out, "\r\n"), 0);
}

/* As Redis: the verb in lower case, the name, and how many are left. */
static inline void
confirm(struct peer *peer, const redisReply *verb, const redisReply *name)
{
	bool leaves = strstr(verb->str, "UNSUB") != NULL;
	struct buf out;
	size_t i;

	if (leaves && peer->n_subscribed > 0)
		peer->n_subscribed--;
	else if (!leaves)
		peer->n_subscribed++;
	buf_init(&out, MIB);
	assert_int_equal(buf_printf(&out, "*3\r\n$%zu\r\n", verb->len), 0);
	for (i = 0; i < verb->len; i++)
		assert_int_equal(buf_putc(&out, (char)(verb->str[i] | 0x20)), 0);
	assert_int_equal(buf_puts(&out, "\r\n"), 0);
	put_bulk(&out, name->str, name->len);
	assert_int_equal(buf_printf(&out, ":%u\r\n", peer->n_subscribed), 0);
	push(peer, out.p, out.len);
	buf_fini(&out);
}

static inline void
answer(struct peer *peer, const redisReply *command, const char *text)
{
	const redisReply *verb = command->element[0];
	size_t i;

	if (redis.is_deaf)
		return;
	for (i = 0; i < redis.n_rules; i++) {
		struct rule *rule = &redis.rules[i];

		if (strncmp(text, rule->command, strlen(rule->command)) != 0)
			continue;
		push(peer, rule->reply, rule->len);
		if (rule->times > 0 && --rule->times == 0)
			rule->command = "(spent)";
		return;
	}
	if (strstr(verb->str, "SUBSCRIBE") != NULL)
		confirm(peer, verb, command->element[1]);
	else if (strcmp(verb->str, "PING") == 0)
		push_text(peer,
			  peer->n_subscribed > 0 ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n");
	else
		push_text(peer, "+OK\r\n");
}

static inline void
on_command(struct peer *peer, const redisReply *command)
{
	size_t i, start = heard_commands.len;
	char text[256];

	for (i = 0; i < command->elements; i++) {
		assert_int_equal(buf_put(&heard_commands, " ", i > 0), 0);
		assert_int_equal(
		    buf_put(&heard_commands, command->element[i]->str, command->element[i]->len),
		    0);
	}
	snprintf(text, sizeof(text), "%.*s", (int)(heard_commands.len - start),
		 heard_commands.p + start);
	assert_int_equal(buf_putc(&heard_commands, '|'), 0);
	answer(peer, command, text);
}

static inline void
on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *b)
{
	static char space[65536];

	(void)handle;
	(void)size;
	*b = uv_buf_init(space, sizeof(space));
}

static inline void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct peer *peer = (struct peer *)(void *)stream;
	void *command;

	if (n < 0) {
		hang_up(peer);
		return;
	}
	assert_int_equal(redisReaderFeed(peer->reader, b->base, (size_t)n), REDIS_OK);
	while (!uv_is_closing((uv_handle_t *)stream)) {
		assert_int_equal(redisReaderGetReply(peer->reader, &command), REDIS_OK);
		if (command == NULL)
			break;
		on_command(peer, command);
		freeReplyObject(command);
	}
}

static inline void
on_connection(uv_stream_t *server, int status)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	assert_int_equal(status, 0);
	assert_non_null(peer);
	if (redis.port != 0)
		uv_tcp_init(&loop, &peer->at.tcp);
	else
		uv_pipe_init(&loop, &peer->at.pipe, 0);
	peer->reader = redisReaderCreate();
	assert_int_equal(uv_accept(server, &peer->at.stream), 0);
	list_add_tail(&redis.peers, &peer->node);
	redis.n_accepted++;
	if (redis.hangs_up)
		hang_up(peer);
	else
		uv_read_start(&peer->at.stream, on_alloc, on_read);
}

static inline void
listen_unix(void)
{
	snprintf(redis.path, sizeof(redis.path), "%s/r", folder);
	unlink(redis.path);
	uv_pipe_init(&loop, &redis.at.pipe, 0);
	assert_int_equal(uv_pipe_bind(&redis.at.pipe, redis.path), 0);
	assert_int_equal(uv_listen(&redis.at.stream, 64, on_connection), 0);
}

static inline void
listen_tcp(void)
{
	struct sockaddr_in sin;
	int len = sizeof(sin);

	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &sin), 0);
	uv_tcp_init(&loop, &redis.at.tcp);
	assert_int_equal(uv_tcp_bind(&redis.at.tcp, (struct sockaddr *)&sin, 0), 0);
	assert_int_equal(uv_listen(&redis.at.stream, 64, on_connection), 0);
	uv_tcp_getsockname(&redis.at.tcp, (struct sockaddr *)&sin, &len);
	redis.port = ntohs(sin.sin_port);
}

static inline void
add_rule(const char *command, const char *reply, size_t len, unsigned times)
{
	assert_true(redis.n_rules < N(redis.rules));
	redis.rules[redis.n_rules++] =
	    (struct rule){.command = command, .reply = reply, .len = len, .times = times};
}

/* Our side: what came, as text */

static struct redis_settings settings;
static struct topology *topology; /* of the links of a test; made when it is asked for */
static struct buf seen_events;    /* "confirmed a|message a=x|" */
static void (*in_callback)(const char *event);

static inline const char *
seen(void)
{
	return text_of(&seen_events);
}

static inline bool
has_seen(const char *text)
{
	return strstr(seen(), text) != NULL;
}

static inline size_t
count(const char *in, const char *text)
{
	size_t n = 0;

	for (; (in = strstr(in, text)) != NULL; in++)
		n++;
	return n;
}

__attribute__((format(printf, 1, 2))) static inline void
note(const char *fmt, ...)
{
	char event[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(event, sizeof(event), fmt, ap);
	va_end(ap);
	assert_int_equal(buf_printf(&seen_events, "%s|", event), 0);
	if (in_callback != NULL)
		in_callback(event);
}

static inline void
add_url(const char *text)
{
	struct redis_url *urls =
	    realloc(settings.urls, (settings.n_urls + 1) * sizeof(*settings.urls));
	const char *why;

	assert_non_null(urls);
	settings.urls = urls;
	assert_int_equal(redis_url_parse(&urls[settings.n_urls++], text, &why), 0);
}

/* login: "user:password@" or "" */
static inline void
add_url_of_redis(const char *login, const char *rest)
{
	char text[160];

	snprintf(text, sizeof(text), "unix://%s%s%s", login, redis.path, rest);
	add_url(text);
}

static inline struct topology *
servers(void)
{
	if (topology == NULL)
		assert_int_equal(topology_new(&topology, &settings), 0);
	return topology;
}

static inline void
fake_start(void)
{
	memset(&redis, 0, sizeof(redis));
	list_init(&redis.peers);
	in_callback = NULL;
	buf_init(&heard_commands, 64 * MIB);
	buf_init(&seen_events, 64 * MIB);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &waker);
	uv_timer_start(&waker, on_wake, 2, 2);
	memset(&settings, 0, sizeof(settings));
	settings.prefix = strdup("");
	settings.connect_timeout_ms = 2000;
	listen_unix();
}

/* Whatever used the loop has been told to end. */
static inline void
fake_stop(void)
{
	struct list *node, *tmp;

	LIST_FOREACH (node, tmp, &redis.peers)
		hang_up(LIST_ENTRY(node, struct peer, node));
	if (!uv_is_closing((uv_handle_t *)&redis.at))
		uv_close((uv_handle_t *)&redis.at, NULL);
	uv_close((uv_handle_t *)&waker, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	topology_free(topology);
	topology = NULL;
	redis_settings_fini(&settings);
	buf_fini(&heard_commands);
	buf_fini(&seen_events);
}

/* fake_prepare, fake_clean - around all tests. Time passes HASTE times as fast. */
static inline int
fake_prepare(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(folder) == NULL || counters_open(1) < 0 ||
	    logger_open("/dev/null", LOGGER_ERROR, LOGGER_TEXT) < 0)
		return -1;
	counters_use(0);
	link_hasten(HASTE);
	return 0;
}

static inline int
fake_clean(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/r", folder);
	unlink(path);
	return rmdir(folder);
}

#endif
