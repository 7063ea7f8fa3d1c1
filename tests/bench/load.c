/*
 * load.c - open thousands of event streams and check what arrives on them.
 *
 * Speaks FastCGI as a web server does, or HTTP/1.1 with --http; "%d" in --path
 * is the number of the stream. Prints one line of JSON when every stream has
 * its head or has failed ("phase":"open"), and one when it has finished
 * ("phase":"done"): with --events K once each open stream has K messages, and
 * at --seconds in any case. With --hold the streams stay open, before the first
 * line without --events and after the last one, until a line or the end of
 * stdin, so that the servers can be looked at meanwhile.
 *
 * A message is what publish.c sends: {"seq":S,"t":T,...}, S counting from 0 on
 * each stream. Exits 1 if anything was lost, out of order, or not opened.
 *
 * Lines are split at LF (and a CR before it): the payloads hold no lone CR, and
 * correctness for all bytes is the business of other tests.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common.h"

#define RECORD_HEAD  8
#define FCGI_BEGIN   1
#define FCGI_END     3
#define FCGI_PARAMS  4
#define FCGI_STDIN   5
#define FCGI_STDOUT  6
#define LINE_MAX_LEN 65536
#define READ_SIZE    262144
#define CHUNK_MAX    (16u << 20)
#define TURN_EVENTS  512
#define RETRY_MS     1 /* until a full backlog is tried again */

/* Values in a bucket differ by at most 1/32. */
#define SUB_BITS 5
#define BUCKETS  ((64 - SUB_BITS + 1) << SUB_BITS)

enum state {
	UNOPENED,
	CONNECTING,
	HEAD,
	OPEN,
	GONE, /* refused, failed, or ended by the server */
};

enum framing {
	CLOSE_DELIMITED,
	CHUNK_SIZE,
	CHUNK_DATA,
	CHUNK_END,
};

struct stream {
	int fd;
	enum state state;
	enum framing framing; /* HTTP */
	bool status_ok, named, has_data, satisfied;
	char *partial; /* a line that has not ended yet */
	size_t partial_len;
	unsigned char record[RECORD_HEAD];
	unsigned record_len, pad_left;
	size_t left; /* of the record's content, or of the chunk */
	uint64_t begun_ns;
	uint64_t expected, received;
	uint64_t seq, sent_ns; /* of the event being read */
};

struct histogram {
	uint64_t n, max, bucket[BUCKETS];
};

struct options {
	struct endpoint to;
	const char *path;
	bool http, hold;
	unsigned streams, inflight;
	uint64_t events, seconds;
};

static struct options opt = {.path = "/bench", .streams = 1, .inflight = 256, .seconds = 60};
static struct stream *streams;
static unsigned begun, inflight, opened, failed, ended, satisfied;
static uint64_t start_ns, open_ns, first_ns, last_ns;
static uint64_t events, gaps, out_of_order, malformed, heartbeats, control, bytes;
static struct histogram latency, head_time;
static int epoll_fd;
static bool released; /* stdin has said go on */

static unsigned
bucket_of(uint64_t v)
{
	unsigned e;

	if (v < 1u << SUB_BITS)
		return (unsigned)v;
	e = 63 - (unsigned)__builtin_clzll(v) - SUB_BITS;
	return ((e + 1) << SUB_BITS) + (unsigned)(v >> e & ((1u << SUB_BITS) - 1));
}

static void
histogram_add(struct histogram *h, uint64_t v)
{
	h->n++;
	h->bucket[bucket_of(v)]++;
	if (v > h->max)
		h->max = v;
}

/* The lower end of the bucket that holds the given share of the values. */
static uint64_t
histogram_quantile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)((double)h->n * share), seen = 0;
	unsigned i = 0, e;

	if (h->n == 0)
		return 0;
	while (i < BUCKETS - 1 && (seen += h->bucket[i]) <= wanted)
		i++;
	if (i < 1u << SUB_BITS)
		return i;
	e = (i >> SUB_BITS) - 1;
	return ((uint64_t)(i & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS)) << e;
}

static void
print_histogram(const char *name, const struct histogram *h)
{
	printf(",\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name,
	       (double)histogram_quantile(h, 0.50) / 1e3, (double)histogram_quantile(h, 0.99) / 1e3,
	       (double)h->max / 1e3);
}

/* What the streams still lack of --events each. */
static uint64_t
count_missing(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < opt.streams; i++)
		if (streams[i].received < opt.events)
			n += opt.events - streams[i].received;
	return n;
}

static void
report(const char *phase)
{
	double busy_s = (double)(last_ns - first_ns) / 1e9;

	printf("{\"phase\":\"%s\",\"streams\":%u,\"open\":%u,\"failed\":%u,\"ended\":%u", phase,
	       opt.streams, opened - ended, failed, ended);
	printf(",\"events\":%llu,\"missing\":%llu,\"gaps\":%llu,\"out_of_order\":%llu",
	       (unsigned long long)events, (unsigned long long)count_missing(),
	       (unsigned long long)gaps, (unsigned long long)out_of_order);
	printf(",\"malformed\":%llu,\"heartbeats\":%llu,\"control\":%llu,\"bytes\":%llu",
	       (unsigned long long)malformed, (unsigned long long)heartbeats,
	       (unsigned long long)control, (unsigned long long)bytes);
	printf(",\"open_seconds\":%.6f,\"events_per_second\":%.0f",
	       (double)(open_ns - start_ns) / 1e9, busy_s > 0 ? (double)events / busy_s : 0.0);
	print_histogram("head_us", &head_time);
	print_histogram("latency_us", &latency);
	puts("}");
	fflush(stdout);
}

static void
stream_gone(struct stream *s)
{
	if (s->state == OPEN) {
		ended++;
	} else {
		failed++;
		inflight--;
	}
	s->state = GONE;
	close(s->fd);
	free(s->partial);
	s->partial = NULL;
}

static void
stream_open(struct stream *s)
{
	uint64_t now = now_ns();

	s->state = OPEN;
	inflight--;
	opened++;
	histogram_add(&head_time, now - s->begun_ns);
}

static void
on_message(struct stream *s, uint64_t now)
{
	events++;
	if (first_ns == 0)
		first_ns = now;
	last_ns = now;
	histogram_add(&latency, now > s->sent_ns ? now - s->sent_ns : 0);
	if (s->seq < s->expected) {
		out_of_order++;
	} else {
		gaps += s->seq - s->expected;
		s->expected = s->seq + 1;
	}
	if (++s->received >= opt.events && opt.events > 0 && !s->satisfied) {
		s->satisfied = true;
		satisfied++;
	}
}

/* Reads PREFIX and the digits behind it. Returns where they end, or NULL. */
static const char *
take_number(const char *p, const char *end, const char *prefix, uint64_t *out)
{
	size_t len = strlen(prefix);
	uint64_t n = 0;

	if ((size_t)(end - p) <= len || memcmp(p, prefix, len) != 0)
		return NULL;
	for (p += len; p < end && *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	*out = n;
	return p;
}

static void
on_data(struct stream *s, const char *p, const char *end)
{
	if (p < end && *p == ' ')
		p++;
	s->has_data = true;
	if (s->named)
		return;
	if ((p = take_number(p, end, "{\"seq\":", &s->seq)) == NULL ||
	    take_number(p, end, ",\"t\":", &s->sent_ns) == NULL) {
		malformed++;
		s->has_data = false;
	}
}

/* Names of the server's own events; any other is a message like one without a name. */
static void
on_name(struct stream *s, const char *p, const char *end)
{
	size_t len;

	if (p < end && *p == ' ')
		p++;
	len = (size_t)(end - p);
	s->named = true;
	if (len >= 7 && memcmp(p, "stream-", 7) == 0)
		control++;
	else if (len == 10 && memcmp(p, "keep-alive", 10) == 0)
		heartbeats++;
	else
		s->named = false;
}

static void
on_event_line(struct stream *s, const char *p, size_t len, uint64_t now)
{
	if (len == 0) {
		if (s->has_data && !s->named)
			on_message(s, now);
		s->has_data = false;
		s->named = false;
	} else if (*p == ':') {
		heartbeats++;
	} else if (len >= 5 && memcmp(p, "data:", 5) == 0) {
		on_data(s, p + 5, p + len);
	} else if (len >= 6 && memcmp(p, "event:", 6) == 0) {
		on_name(s, p + 6, p + len);
	}
}

static bool
starts_with(const char *p, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && strncasecmp(p, prefix, n) == 0;
}

/* Returns 0, or -EPROTO when the head ends and it is not one of an event stream. */
static int
on_head_line(struct stream *s, const char *p, size_t len)
{
	if (len == 0) {
		if (!s->status_ok || !s->has_data)
			return -EPROTO;
		s->has_data = false;
		stream_open(s);
	} else if (starts_with(p, len, "Status:") || starts_with(p, len, "HTTP/1.1 ")) {
		s->status_ok = memmem(p, len, " 200", 4) != NULL;
	} else if (starts_with(p, len, "Content-Type: text/event-stream")) {
		s->has_data = true;
	} else if (starts_with(p, len, "Transfer-Encoding: chunked")) {
		s->framing = CHUNK_SIZE;
	}
	return 0;
}

static int
keep_partial(struct stream *s, const char *p, size_t len)
{
	char *grown;

	if (s->partial_len + len > LINE_MAX_LEN)
		return -EMSGSIZE;
	if ((grown = realloc(s->partial, s->partial_len + len)) == NULL)
		return -ENOMEM;
	memcpy(grown + s->partial_len, p, len);
	s->partial = grown;
	s->partial_len += len;
	return 0;
}

static int
on_line(struct stream *s, const char *p, size_t len, uint64_t now)
{
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if (s->state != OPEN)
		return on_head_line(s, p, len);
	on_event_line(s, p, len, now);
	return 0;
}

/*
 * Takes the lines of p; the rest is kept. Stops behind the head, since what
 * follows it may be framed otherwise. Returns the bytes taken or a negative
 * errno.
 */
static ssize_t
take_lines(struct stream *s, const char *p, size_t len, uint64_t now)
{
	const char *start = p, *end = p + len, *nl;
	enum state state = s->state;
	int rc;

	while (s->state == state && p < end) {
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL) {
			rc = keep_partial(s, p, (size_t)(end - p));
			return rc < 0 ? rc : (ssize_t)len;
		}
		if (s->partial_len == 0) {
			rc = on_line(s, p, (size_t)(nl - p), now);
		} else if ((rc = keep_partial(s, p, (size_t)(nl - p))) == 0) {
			rc = on_line(s, s->partial, s->partial_len, now);
			free(s->partial);
			s->partial = NULL;
			s->partial_len = 0;
		}
		if (rc < 0)
			return rc;
		p = nl + 1;
	}
	return p - start;
}

static int
take_all_lines(struct stream *s, const char *p, size_t len, uint64_t now)
{
	while (len > 0) {
		ssize_t n = take_lines(s, p, len, now);

		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A chunk's size line or the line end behind its data, one byte at a time (RFC 9112, 7.1). */
static int
chunk_byte(struct stream *s, char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit;

	if (c == '\n' && s->framing == CHUNK_END) {
		s->framing = CHUNK_SIZE;
	} else if (c == '\n') {
		if (s->left == 0)
			return -ECONNRESET; /* the last chunk */
		s->framing = CHUNK_DATA;
	} else if (c != '\r') {
		if (s->framing == CHUNK_END || s->left > CHUNK_MAX)
			return -EPROTO;
		if ((digit = strchr(digits, c | 0x20)) == NULL)
			return -EPROTO;
		s->left = s->left << 4 | (size_t)(digit - digits);
	}
	return 0;
}

static int
unframe_chunks(struct stream *s, const char *p, size_t len, uint64_t now)
{
	int rc = 0;

	while (len > 0 && rc == 0) {
		size_t n = 1;

		if (s->framing == CHUNK_DATA) {
			n = len < s->left ? len : s->left;
			rc = take_all_lines(s, p, n, now);
			s->left -= n;
			if (s->left == 0)
				s->framing = CHUNK_END;
		} else {
			rc = chunk_byte(s, *p);
		}
		p += n;
		len -= n;
	}
	return rc;
}

static int
unframe_http(struct stream *s, const char *p, size_t len, uint64_t now)
{
	if (s->state == HEAD) {
		ssize_t n = take_lines(s, p, len, now);

		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	if (s->framing == CLOSE_DELIMITED)
		return take_all_lines(s, p, len, now);
	return unframe_chunks(s, p, len, now);
}

/* A whole record header has come: FastCGI 3.3. */
static int
on_record(struct stream *s)
{
	const unsigned char *h = s->record;

	if (h[0] != 1 || h[2] != 0 || h[3] != 1)
		return -EPROTO;
	if (h[1] == FCGI_END)
		return -ECONNRESET;
	s->left = (size_t)h[4] << 8 | h[5];
	s->pad_left = h[6];
	return 0;
}

static int
unframe_fcgi(struct stream *s, const char *p, size_t len, uint64_t now)
{
	int rc = 0;

	while (len > 0 && rc == 0) {
		size_t n;

		if (s->left > 0) {
			n = len < s->left ? len : s->left;
			if (s->record[1] == FCGI_STDOUT)
				rc = take_all_lines(s, p, n, now);
			s->left -= n;
		} else if (s->pad_left > 0) {
			n = len < s->pad_left ? len : s->pad_left;
			s->pad_left -= (unsigned)n;
		} else {
			n = RECORD_HEAD - s->record_len;
			n = len < n ? len : n;
			memcpy(s->record + s->record_len, p, n);
			s->record_len += (unsigned)n;
			if (s->record_len == RECORD_HEAD) {
				rc = on_record(s);
				s->record_len = 0;
			}
		}
		p += n;
		len -= n;
	}
	return rc;
}

static void
stream_read(struct stream *s)
{
	static char buf[READ_SIZE];
	ssize_t n = recv(s->fd, buf, sizeof(buf), 0);
	uint64_t now = now_ns();
	int rc;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		stream_gone(s);
		return;
	}
	bytes += (uint64_t)n;
	if (opt.http)
		rc = unframe_http(s, buf, (size_t)n, now);
	else
		rc = unframe_fcgi(s, buf, (size_t)n, now);
	if (rc < 0)
		stream_gone(s);
}

static size_t
put_record(char *out, unsigned type, size_t len)
{
	out[0] = 1;
	out[1] = (char)type;
	out[2] = 0;
	out[3] = 1;
	out[4] = (char)(len >> 8);
	out[5] = (char)len;
	out[6] = 0;
	out[7] = 0;
	return RECORD_HEAD;
}

/* One name-value pair, lengths up to 127 in one byte (FastCGI 3.4). */
static size_t
put_pair(char *out, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value), at = 0;

	out[at++] = (char)n;
	if (v > 127) {
		out[at++] = (char)(v >> 24 | 0x80);
		out[at++] = (char)(v >> 16);
		out[at++] = (char)(v >> 8);
	}
	out[at++] = (char)v;
	memcpy(out + at, name, n);
	memcpy(out + at + n, value, v);
	return at + n + v;
}

/* What lighttpd 1.4.69 sends for a browser's EventSource. */
static size_t
fcgi_request(char *out, const char *path)
{
	const char *const pairs[][2] = {
	    {"CONTENT_LENGTH", "0"},
	    {"QUERY_STRING", ""},
	    {"REQUEST_URI", path},
	    {"REDIRECT_STATUS", "200"},
	    {"SCRIPT_NAME", path},
	    {"SCRIPT_FILENAME", path},
	    {"DOCUMENT_ROOT", "/var/www/html"},
	    {"REQUEST_METHOD", "GET"},
	    {"SERVER_PROTOCOL", "HTTP/1.1"},
	    {"SERVER_SOFTWARE", "lighttpd/1.4.69"},
	    {"GATEWAY_INTERFACE", "CGI/1.1"},
	    {"REQUEST_SCHEME", "http"},
	    {"SERVER_PORT", "8080"},
	    {"SERVER_ADDR", "127.0.0.1"},
	    {"SERVER_NAME", "localhost"},
	    {"REMOTE_ADDR", "127.0.0.1"},
	    {"REMOTE_PORT", "50000"},
	    {"HTTP_HOST", "localhost:8080"},
	    {"HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"},
	    {"HTTP_ACCEPT", "text/event-stream"},
	    {"HTTP_ACCEPT_LANGUAGE", "en-GB,en;q=0.5"},
	    {"HTTP_ACCEPT_ENCODING", "gzip, deflate"},
	    {"HTTP_REFERER", "http://localhost:8080/"},
	    {"HTTP_PRAGMA", "no-cache"},
	    {"HTTP_CACHE_CONTROL", "no-cache"},
	};
	static const char begin[8] = {0, 1}; /* role responder, close afterwards */
	char *params;
	size_t at, len = 0;

	at = put_record(out, FCGI_BEGIN, sizeof(begin));
	memcpy(out + at, begin, sizeof(begin));
	at += sizeof(begin);
	params = out + at + RECORD_HEAD;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		len += put_pair(params + len, pairs[i][0], pairs[i][1]);
	at += put_record(out + at, FCGI_PARAMS, len) + len;
	at += put_record(out + at, FCGI_PARAMS, 0);
	return at + put_record(out + at, FCGI_STDIN, 0);
}

static size_t
http_request(char *out, size_t cap, const char *path)
{
	int n = snprintf(out, cap,
			 "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
			 "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101\r\n"
			 "Accept-Language: en-GB,en;q=0.5\r\nCache-Control: no-cache\r\n\r\n",
			 path);

	return (size_t)n;
}

static void
send_request(struct stream *s)
{
	char path[512], request[8192];
	size_t len;

	expand_index(path, sizeof(path), opt.path, (unsigned)(s - streams));
	if (opt.http)
		len = http_request(request, sizeof(request), path);
	else
		len = fcgi_request(request, path);
	s->state = HEAD;
	s->status_ok = !opt.http; /* no Status line means 200: RFC 3875, 6.3.3 */
	if (send(s->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		stream_gone(s);
}

/* Returns 0, or -EAGAIN if the server has no room for another connection now. */
static int
begin_stream(struct stream *s)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
	int pending, fd;

	if (s->begun_ns == 0)
		s->begun_ns = now_ns();
	fd = endpoint_connect(&opt.to, SOCK_NONBLOCK, &pending);
	if (fd == -EAGAIN)
		return fd;
	begun++;
	if (fd < 0) {
		s->state = GONE;
		failed++;
		return 0;
	}
	s->fd = fd;
	s->state = CONNECTING;
	inflight++;
	if (pending)
		ev.events = EPOLLOUT;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl: %s", strerror(errno));
	if (!pending)
		send_request(s);
	return 0;
}

/* Returns how long the loop may sleep, ms. */
static int
begin_streams(void)
{
	while (begun < opt.streams && inflight < opt.inflight)
		if (begin_stream(&streams[begun]) == -EAGAIN)
			return RETRY_MS;
	return inflight == 0 ? RETRY_MS : 100;
}

static void
on_stream(struct stream *s, uint32_t ready)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};

	if (s->state != CONNECTING) {
		stream_read(s);
		return;
	}
	if (ready & (EPOLLERR | EPOLLHUP)) {
		stream_gone(s);
		return;
	}
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
	send_request(s);
}

static void
turn(uint64_t end_ns, int sleep_ms)
{
	struct epoll_event ev[TURN_EVENTS];
	uint64_t now = now_ns();
	char waste[256];
	int n;

	if (now < end_ns && (end_ns - now) / 1000000 < (uint64_t)sleep_ms)
		sleep_ms = (int)((end_ns - now) / 1000000) + 1;
	n = epoll_wait(epoll_fd, ev, TURN_EVENTS, sleep_ms);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr != NULL) {
			on_stream(ev[i].data.ptr, ev[i].events);
			continue;
		}
		released = true;
		if (read(STDIN_FILENO, waste, sizeof(waste)) <= 0)
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
	}
}

/* Every stream that can still get its messages has them. */
static bool
is_satisfied(void)
{
	unsigned lost = 0;

	if (opt.events == 0)
		return released || !opt.hold;
	if (satisfied + failed + ended < opt.streams)
		return false;
	for (unsigned i = 0; i < opt.streams; i++)
		if (streams[i].state == GONE && !streams[i].satisfied)
			lost++;
	return satisfied + lost == opt.streams;
}

static void
run(void)
{
	uint64_t end_ns;

	start_ns = now_ns();
	end_ns = start_ns + opt.seconds * NS_PER_S;
	while (opened + failed < opt.streams && now_ns() < end_ns)
		turn(end_ns, begin_streams());
	open_ns = now_ns();
	report("open");
	while (!is_satisfied() && now_ns() < end_ns)
		turn(end_ns, 100);
	report("done");
	while (opt.hold && !released && now_ns() < end_ns)
		turn(end_ns, 100);
}

static void
usage(FILE *out)
{
	fputs("usage: load --to unix:PATH|HOST:PORT [--http] [--path /bench] [--streams N]\n"
	      "            [--inflight N] [--events N] [--seconds LIMIT] [--hold]\n",
	      out);
}

static void
parse_options(int argc, char **argv)
{
	static const struct option table[] = {
	    {"to", required_argument, NULL, 't'},       {"http", no_argument, NULL, 'H'},
	    {"path", required_argument, NULL, 'p'},     {"streams", required_argument, NULL, 'n'},
	    {"inflight", required_argument, NULL, 'i'}, {"events", required_argument, NULL, 'e'},
	    {"seconds", required_argument, NULL, 's'},  {"hold", no_argument, NULL, 'o'},
	    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 't':
			endpoint_parse(&opt.to, optarg);
			break;
		case 'H':
			opt.http = true;
			break;
		case 'p':
			opt.path = optarg;
			break;
		case 'n':
			opt.streams = (unsigned)parse_count("streams", optarg, 1000000);
			break;
		case 'i':
			opt.inflight = (unsigned)parse_count("inflight", optarg, 1000000);
			break;
		case 'e':
			opt.events = parse_count("events", optarg, 1000000000);
			break;
		case 's':
			opt.seconds = parse_count("seconds", optarg, 3600);
			break;
		case 'o':
			opt.hold = true;
			break;
		default:
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (opt.to.len == 0 || opt.streams == 0 || opt.inflight == 0 || optind != argc) {
		usage(stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	parse_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	raise_nofile();
	if ((streams = calloc(opt.streams, sizeof(*streams))) == NULL)
		die("out of memory");
	if ((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll: %s", strerror(errno));
	/* A file or /dev/null cannot be waited for: it is at its end already. */
	if (opt.hold && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
		released = true;
	run();
	return failed + ended > 0 || opened < opt.streams || count_missing() > 0 || gaps > 0 ||
		       out_of_order > 0 || malformed > 0
		   ? 1
		   : 0;
}
