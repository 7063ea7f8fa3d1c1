/*
 * floor.c - the least that a FastCGI responder for event streams can do.
 *
 * What Sluice is measured against: epoll, one Redis connection, SUBSCRIBE only,
 * bytes built once per message, no route, no check, no timer, no limit worth
 * the name. The path names the channel: /bench is "bench", /many/7 is "many:7".
 *
 *   --per-event   one write per event and stream
 *   --per-turn    one write per stream and turn: what one read of Redis brought
 *                 goes out as one record
 *
 * As in Sluice the head is sent once Redis has confirmed the subscription, so
 * that a client that has its head misses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "common.h"

#define RECORD_MAX  65528 /* content of one record: needs no padding (FastCGI 3.3) */
#define RECORD_HEAD 8
#define REQUEST_MAX 16384
#define REDIS_READ  65536
#define PENDING_MAX (64u << 20)
#define TABLE_SIZE  16384 /* channels; a power of two */
#define TURN_EVENTS 512
#define FCGI_PARAMS 4
#define FCGI_STDIN  5
#define FCGI_STDOUT 6

struct bytes {
	char *p;
	size_t len, cap;
};

struct conn {
	int fd;
	bool want_write;
	struct channel *channel; /* NULL until the request is whole */
	size_t slot;             /* index in channel->conns */
	struct bytes in;         /* the request, then freed */
	struct bytes pending;    /* what the socket would not take */
};

struct channel {
	char *name;
	bool confirmed, dirty;
	struct conn **conns;
	size_t n, cap;
	struct bytes frames; /* RECORD_HEAD bytes of room, then this turn's frames */
	struct channel *next_dirty, *next_hash;
};

struct field {
	const char *p;
	size_t len;
};

static const char head[] = "Content-Type: text/event-stream\r\n"
			   "Cache-Control: no-store, no-transform\r\n"
			   "X-Accel-Buffering: no\r\n\r\n";

static struct channel *table[TABLE_SIZE], *dirty;
static struct bytes commands;
static bool per_event;
static int epoll_fd, redis_fd, listen_fd;

static void
reserve(struct bytes *b, size_t more)
{
	size_t cap = b->cap == 0 ? 1024 : b->cap;

	if (b->len + more <= b->cap)
		return;
	while (cap < b->len + more)
		cap *= 2;
	if ((b->p = realloc(b->p, cap)) == NULL)
		die("out of memory");
	b->cap = cap;
}

static void
append(struct bytes *b, const void *p, size_t len)
{
	reserve(b, len);
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

static void
release(struct bytes *b)
{
	free(b->p);
	memset(b, 0, sizeof(*b));
}

static void
watch(int op, int fd, uint32_t events, void *ptr)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	if (epoll_ctl(epoll_fd, op, fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void
conn_close(struct conn *c)
{
	struct channel *ch = c->channel;

	if (ch != NULL) {
		ch->conns[c->slot] = ch->conns[--ch->n];
		ch->conns[c->slot]->slot = c->slot;
	}
	close(c->fd);
	release(&c->in);
	release(&c->pending);
	free(c);
}

/* Errors are left to the hang-up that epoll reports: c may be in the middle of a fan-out. */
static void
conn_send(struct conn *c, const char *p, size_t len)
{
	ssize_t n = 0;

	if (c->pending.len == 0 && (n = send(c->fd, p, len, MSG_NOSIGNAL)) < 0) {
		if (errno != EAGAIN)
			return;
		n = 0;
	}
	if ((size_t)n == len)
		return;
	if (c->pending.len > PENDING_MAX) {
		shutdown(c->fd, SHUT_RDWR);
		return;
	}
	append(&c->pending, p + n, len - (size_t)n);
	if (!c->want_write) {
		c->want_write = true;
		watch(EPOLL_CTL_MOD, c->fd, EPOLLIN | EPOLLOUT, c);
	}
}

static void
conn_flush(struct conn *c)
{
	ssize_t n = send(c->fd, c->pending.p, c->pending.len, MSG_NOSIGNAL);

	if (n < 0)
		return;
	c->pending.len -= (size_t)n;
	memmove(c->pending.p, c->pending.p + n, c->pending.len);
	if (c->pending.len > 0)
		return;
	release(&c->pending);
	c->want_write = false;
	watch(EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

/* The eight bytes before content become its record header; padding goes behind it. */
static size_t
seal_record(char *record, size_t len)
{
	size_t pad = -len & 7;

	record[0] = 1;
	record[1] = FCGI_STDOUT;
	record[2] = 0;
	record[3] = 1;
	record[4] = (char)(len >> 8);
	record[5] = (char)len;
	record[6] = (char)pad;
	record[7] = 0;
	memset(record + RECORD_HEAD + len, 0, pad);
	return RECORD_HEAD + len + pad;
}

static void
send_head(struct conn *c)
{
	static char record[RECORD_HEAD + sizeof(head) + 8];

	memcpy(record + RECORD_HEAD, head, sizeof(head) - 1);
	conn_send(c, record, seal_record(record, sizeof(head) - 1));
}

static struct channel *
channel_find(const char *name, size_t len, bool make)
{
	struct channel *ch;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	for (ch = table[hash % TABLE_SIZE]; ch != NULL; ch = ch->next_hash)
		if (strlen(ch->name) == len && memcmp(ch->name, name, len) == 0)
			return ch;
	if (!make)
		return NULL;
	if ((ch = calloc(1, sizeof(*ch))) == NULL || (ch->name = strndup(name, len)) == NULL)
		die("out of memory");
	ch->next_hash = table[hash % TABLE_SIZE];
	table[hash % TABLE_SIZE] = ch;
	reserve(&commands, len + 64);
	commands.len += (size_t)sprintf(commands.p + commands.len,
					"*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n", len, ch->name);
	return ch;
}

static void
channel_join(struct channel *ch, struct conn *c)
{
	if (ch->n == ch->cap) {
		ch->cap = ch->cap == 0 ? 1 : ch->cap * 2;
		if ((ch->conns = realloc(ch->conns, ch->cap * sizeof(struct conn *))) == NULL)
			die("out of memory");
	}
	c->channel = ch;
	c->slot = ch->n;
	ch->conns[ch->n++] = c;
	if (ch->confirmed)
		send_head(c);
}

static void
channel_flush(struct channel *ch)
{
	size_t len;

	if (ch->frames.len <= RECORD_HEAD)
		return;
	reserve(&ch->frames, 8);
	len = seal_record(ch->frames.p, ch->frames.len - RECORD_HEAD);
	for (size_t i = 0; i < ch->n; i++)
		conn_send(ch->conns[i], ch->frames.p, len);
	ch->frames.len = RECORD_HEAD;
}

static void
channel_message(struct channel *ch, struct field body)
{
	if (ch->frames.len + body.len + 8 > RECORD_MAX)
		channel_flush(ch);
	if (body.len + 8 > RECORD_MAX)
		die("a message of %zu bytes is more than the floor can carry", body.len);
	if (ch->frames.len == 0) {
		reserve(&ch->frames, RECORD_HEAD);
		ch->frames.len = RECORD_HEAD;
	}
	append(&ch->frames, "data: ", 6);
	append(&ch->frames, body.p, body.len);
	append(&ch->frames, "\n\n", 2);
	if (per_event) {
		channel_flush(ch);
	} else if (!ch->dirty) {
		ch->dirty = true;
		ch->next_dirty = dirty;
		dirty = ch;
	}
}

static void
flush_dirty(void)
{
	for (; dirty != NULL; dirty = dirty->next_dirty) {
		dirty->dirty = false;
		channel_flush(dirty);
	}
}

/* Returns the length of the line at p without its CRLF, or -1 if it is not all there. */
static ssize_t
line_length(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return nl == NULL ? -1 : nl - p - 1;
}

/* One RESP array of three. Returns its bytes, or 0 if it is not all there. */
static size_t
parse_reply(const char *p, const char *end, struct field out[3])
{
	const char *start = p;
	ssize_t len;

	if ((len = line_length(p, end)) < 0)
		return 0;
	if (strncmp(p, "*3\r", 3) != 0)
		die("redis: unexpected reply \"%.*s\"", (int)len, p);
	p += len + 2;
	for (int i = 0; i < 3; i++) {
		if ((len = line_length(p, end)) < 0)
			return 0;
		if (*p == '$') {
			size_t size = strtoul(p + 1, NULL, 10);

			p += len + 2;
			if ((size_t)(end - p) < size + 2)
				return 0;
			len = (ssize_t)size;
		}
		out[i] = (struct field){p, (size_t)len};
		p += len + 2;
	}
	return (size_t)(p - start);
}

static void
on_reply(const struct field f[3])
{
	struct channel *ch = channel_find(f[1].p, f[1].len, false);

	if (ch == NULL)
		return;
	if (f[0].len == 7) {
		channel_message(ch, f[2]);
	} else if (!ch->confirmed) {
		ch->confirmed = true;
		for (size_t i = 0; i < ch->n; i++)
			send_head(ch->conns[i]);
	}
}

static void
on_redis(void)
{
	static struct bytes in;
	struct field f[3];
	size_t used, at = 0;
	ssize_t n;

	reserve(&in, REDIS_READ + 1);
	n = recv(redis_fd, in.p + in.len, REDIS_READ, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("redis: connection lost");
	if (n < 0)
		return;
	in.len += (size_t)n;
	in.p[in.len] = '\0'; /* strtoul stops there */
	while ((used = parse_reply(in.p + at, in.p + in.len, f)) > 0) {
		on_reply(f);
		at += used;
	}
	in.len -= at;
	memmove(in.p, in.p + at, in.len);
}

/* Blocks, if it must: Redis reads on whatever it has to write. */
static void
send_commands(void)
{
	for (size_t at = 0; at < commands.len;) {
		ssize_t n = send(redis_fd, commands.p + at, commands.len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			die("redis: %s", strerror(errno));
		at += n < 0 ? 0 : (size_t)n;
	}
	commands.len = 0;
}

/* A length of one byte or, with the top bit set, of four (FastCGI 3.4). */
static size_t
pair_length(const unsigned char **p, const unsigned char *end)
{
	size_t len = 0;

	if (*p < end && **p < 0x80)
		return *(*p)++;
	if (end - *p < 4)
		return 0;
	for (int i = 0; i < 4; i++)
		len = len << 8 | *(*p)++;
	return len & 0x7fffffff;
}

static bool
find_uri(const struct bytes *params, struct field *out)
{
	const unsigned char *p = (unsigned char *)params->p, *end = p + params->len;

	while (p < end) {
		size_t name = pair_length(&p, end), value = pair_length(&p, end);

		if ((size_t)(end - p) < name + value)
			return false;
		if (name == 11 && memcmp(p, "REQUEST_URI", 11) == 0) {
			*out = (struct field){(const char *)p + name, value};
			return true;
		}
		p += name + value;
	}
	return false;
}

/* Gathers the params. Returns whether the empty STDIN, the end of the request, is there. */
static bool
request_whole(const struct bytes *in, struct bytes *params)
{
	const unsigned char *p = (unsigned char *)in->p, *end = p + in->len;

	params->len = 0;
	while (end - p >= RECORD_HEAD) {
		size_t len = (size_t)p[4] << 8 | p[5];
		unsigned type = p[1];

		if ((size_t)(end - p) < RECORD_HEAD + len + p[6])
			return false;
		if (type == FCGI_STDIN && len == 0)
			return true;
		if (type == FCGI_PARAMS)
			append(params, p + RECORD_HEAD, len);
		p += RECORD_HEAD + len + p[6];
	}
	return false;
}

static void
on_request(struct conn *c)
{
	static struct bytes params;
	struct field uri;
	char name[256];
	size_t len = 0;

	if (!request_whole(&c->in, &params))
		return;
	if (!find_uri(&params, &uri) || uri.len < 2 || uri.len > sizeof(name)) {
		conn_close(c);
		return;
	}
	for (size_t i = 1; i < uri.len && uri.p[i] != '?'; i++)
		name[len++] = uri.p[i];
	for (size_t i = 0; i < len; i++)
		if (name[i] == '/')
			name[i] = ':';
	release(&c->in);
	channel_join(channel_find(name, len, true), c);
}

static void
on_conn(struct conn *c, uint32_t events)
{
	char waste[256];
	ssize_t n;

	if (events & EPOLLOUT)
		conn_flush(c);
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	if (c->channel == NULL) {
		reserve(&c->in, 2048);
		n = recv(c->fd, c->in.p + c->in.len, 2048, 0);
	} else {
		n = recv(c->fd, waste, sizeof(waste), 0);
	}
	if (n == 0 || (n < 0 && errno != EAGAIN) || c->in.len > REQUEST_MAX) {
		conn_close(c);
	} else if (n > 0 && c->channel == NULL) {
		c->in.len += (size_t)n;
		on_request(c);
	}
}

static void
on_listen(void)
{
	struct conn *c;
	int fd;

	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if ((c = calloc(1, sizeof(*c))) == NULL)
			die("out of memory");
		c->fd = fd;
		watch(EPOLL_CTL_ADD, fd, EPOLLIN, c);
	}
}

static void
serve(void)
{
	struct epoll_event ev[TURN_EVENTS];

	for (;;) {
		int n = epoll_wait(epoll_fd, ev, TURN_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == &listen_fd)
				on_listen();
			else if (ev[i].data.ptr == &redis_fd)
				on_redis();
			else
				on_conn(ev[i].data.ptr, ev[i].events);
		}
		flush_dirty();
		send_commands();
	}
}

static void
start(const char *listen_to, const char *redis)
{
	struct endpoint ep;

	if ((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll: %s", strerror(errno));
	endpoint_parse(&ep, redis);
	if ((redis_fd = endpoint_connect(&ep, 0, NULL)) < 0)
		die("%s: %s", redis, strerror(-redis_fd));
	watch(EPOLL_CTL_ADD, redis_fd, EPOLLIN, &redis_fd);
	endpoint_parse(&ep, listen_to);
	listen_fd = socket(ep.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&ep.addr, ep.len) < 0 ||
	    listen(listen_fd, 4096) < 0)
		die("%s: %s", listen_to, strerror(errno));
	watch(EPOLL_CTL_ADD, listen_fd, EPOLLIN, &listen_fd);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"listen", required_argument, NULL, 'l'},
	    {"redis", required_argument, NULL, 'r'},
	    {"per-event", no_argument, NULL, 'e'},
	    {"per-turn", no_argument, NULL, 't'},
	    {NULL, 0, NULL, 0},
	};
	const char *listen_to = NULL, *redis = NULL;
	int c, mode = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			listen_to = optarg;
		else if (c == 'r')
			redis = optarg;
		else
			mode = c;
	}
	if (listen_to == NULL || redis == NULL || (mode != 'e' && mode != 't') || optind != argc)
		die("usage: floor --listen ADDRESS --redis ADDRESS --per-event|--per-turn");
	per_event = mode == 'e';
	signal(SIGPIPE, SIG_IGN);
	raise_nofile();
	start(listen_to, redis);
	serve();
}
