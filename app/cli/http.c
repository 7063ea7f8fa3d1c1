#include "cli/http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	RAW_MAX = 256 * 1024,
	BODY_MAX = 4 * 1024 * 1024,
	REQUEST_MAX = 32 * 1024,
	PIECE = 16 * 1024,
	CONNECT_MS = 5000,
	SIZE_DIGITS = 8, /* of a chunk's size: no chunk is that long */
};

/* URLs */

static bool
copy(char *out, size_t len, const char *p, size_t n)
{
	if (n >= len)
		return false;
	memcpy(out, p, n);
	out[n] = '\0';
	return true;
}

bool
http_url_parse(struct http_url *out, const char *text)
{
	const char *host, *end, *port, *path;
	size_t len;

	memset(out, 0, sizeof(*out));
	out->is_tls = strncasecmp(text, "https://", 8) == 0;
	if (!out->is_tls && strncasecmp(text, "http://", 7) != 0)
		return false;
	host = text + (out->is_tls ? 8 : 7);
	end = host + strcspn(host, "/?#");
	for (path = end, len = strcspn(path, "?#"); len > 0 && path[len - 1] == '/'; len--)
		;
	if (memchr(host, '@', (size_t)(end - host)) != NULL || strchr(text, ' ') != NULL ||
	    !copy(out->path, sizeof(out->path), path, len))
		return false;
	if (*host == '[') {
		port = memchr(host, ']', (size_t)(end - host));
		if (port == NULL ||
		    !copy(out->host, sizeof(out->host), host + 1, (size_t)(port - host - 1)))
			return false;
		port++;
	} else {
		port = memchr(host, ':', (size_t)(end - host));
		port = port != NULL ? port : end;
		if (!copy(out->host, sizeof(out->host), host, (size_t)(port - host)))
			return false;
	}
	if (port == end)
		snprintf(out->port, sizeof(out->port), "%s", out->is_tls ? "443" : "80");
	else if (*port != ':' ||
		 !copy(out->port, sizeof(out->port), port + 1, (size_t)(end - port - 1)))
		return false;
	return *out->host != '\0' && *out->port != '\0' &&
	       out->port[strspn(out->port, "0123456789")] == '\0';
}

/* Connecting */

int
http_client_init(struct http_client *client, const struct http_url *url, bool is_insecure)
{
	memset(client, 0, sizeof(*client));
	client->url = *url;
	client->connect_ms = CONNECT_MS;
	if (!url->is_tls)
		return 0;
	if ((client->tls = SSL_CTX_new(TLS_client_method())) == NULL)
		return -ENOMEM;
	SSL_CTX_set_default_verify_paths(client->tls);
	SSL_CTX_set_verify(client->tls, is_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_options(client->tls, SSL_OP_IGNORE_UNEXPECTED_EOF);
	return 0;
}

void
http_client_fini(struct http_client *client)
{
	SSL_CTX_free(client->tls);
}

static int
fail(struct http_exchange *x, enum http_failure failure, const char *why)
{
	x->failure = failure;
	snprintf(x->why, sizeof(x->why), "%s", why);
	return -1;
}

static unsigned
left_ms(const struct http_exchange *x)
{
	uint64_t now = clock_ms();

	return now < x->until_ms ? (unsigned)(x->until_ms - now) : 0;
}

/* How long connect() may take: at least a moment, for 0 would be for ever. */
static void
set_time_out(const struct http_exchange *x)
{
	unsigned ms = left_ms(x) + 1;
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	setsockopt(x->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/*
 * What returned n could not go on: does it once the descriptor is ready? Not beyond the time that
 * all of it may take, however little comes however often.
 */
static bool
can_go_on(const struct http_exchange *x, ssize_t n)
{
	struct pollfd p = {.fd = x->fd, .events = POLLOUT};
	int error = x->ssl != NULL ? SSL_get_error(x->ssl, (int)n) : SSL_ERROR_NONE;

	if (error == SSL_ERROR_WANT_READ)
		p.events = POLLIN;
	else if (x->ssl != NULL ? error != SSL_ERROR_WANT_WRITE
				: n == 0 || (errno != EAGAIN && errno != EINTR))
		return false;
	return left_ms(x) > 0 && poll(&p, 1, (int)left_ms(x)) != 0;
}

static int
connect_tcp(struct http_exchange *x, const struct http_client *client)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list, *ai;
	int rc = getaddrinfo(client->url.host, client->url.port, &hints, &list), saved = 0;

	if (rc != 0)
		return fail(x, HTTP_FAILURE_NAME, gai_strerror(rc));
	for (ai = list; ai != NULL && x->fd < 0; ai = ai->ai_next) {
		if ((x->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) {
			saved = errno;
			continue;
		}
		set_time_out(x);
		if (connect(x->fd, ai->ai_addr, ai->ai_addrlen) == 0)
			break;
		saved = errno == EINPROGRESS ? ETIMEDOUT : errno;
		close(x->fd);
		x->fd = -1;
	}
	freeaddrinfo(list);
	if (x->fd >= 0) {
		fcntl(x->fd, F_SETFL, O_NONBLOCK);
		return 0;
	}
	return fail(x, saved == ECONNREFUSED ? HTTP_FAILURE_REFUSED : HTTP_FAILURE_UNREACHED,
		    strerror(saved));
}

static int
fail_tls(struct http_exchange *x)
{
	long verdict = SSL_get_verify_result(x->ssl);
	unsigned long err = ERR_peek_last_error();
	const char *why = err != 0 ? ERR_reason_error_string(err) : NULL;

	ERR_clear_error();
	if (verdict != X509_V_OK && SSL_get_verify_mode(x->ssl) == SSL_VERIFY_PEER)
		return fail(x, HTTP_FAILURE_CERTIFICATE, X509_verify_cert_error_string(verdict));
	return fail(x, HTTP_FAILURE_TLS,
		    why != NULL       ? why
		    : left_ms(x) == 0 ? "it did not come to an end in time"
				      : "it closed the connection");
}

static int
begin_tls(struct http_exchange *x, const struct http_client *client)
{
	struct in6_addr any;
	const char *host = client->url.host;
	bool is_address =
	    inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;

	if (client->tls == NULL)
		return 0;
	if ((x->ssl = SSL_new(client->tls)) == NULL || SSL_set_fd(x->ssl, x->fd) != 1)
		return fail(x, HTTP_FAILURE_TLS, "out of memory");
	if (is_address) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(x->ssl), host);
	} else {
		SSL_set_tlsext_host_name(x->ssl, host);
		SSL_set1_host(x->ssl, host);
	}
	return 0;
}

static int
shake_hands(struct http_exchange *x)
{
	int n = 1;

	while (x->ssl != NULL && (n = SSL_connect(x->ssl)) != 1 && can_go_on(x, n))
		;
	return n == 1 ? 0 : fail_tls(x);
}

/* Writes all of it. Returns 0 or -1. */
static int
write_all(struct http_exchange *x, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = x->ssl != NULL ? SSL_write(x->ssl, p, (int)len)
					   : send(x->fd, p, len, MSG_NOSIGNAL);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (!can_go_on(x, n)) {
			return fail(x, HTTP_FAILURE_UNREACHED, "it does not take the request");
		}
	}
	return 0;
}

static int
send_request(struct http_exchange *x, const struct http_client *client, const char *path,
	     const char *fields)
{
	const struct http_url *url = &client->url;
	bool is_v6 = strchr(url->host, ':') != NULL;
	struct buf b;
	int rc;

	buf_init(&b, REQUEST_MAX);
	rc = buf_printf(&b, "GET %s HTTP/1.1\r\nHost: %s%s%s", path, is_v6 ? "[" : "", url->host,
			is_v6 ? "]" : "");
	if (rc == 0 && strcmp(url->port, url->is_tls ? "443" : "80") != 0)
		rc = buf_printf(&b, ":%s", url->port);
	if (rc == 0)
		rc = buf_printf(&b, "\r\nUser-Agent: sluice-doctor\r\nConnection: close\r\n%s",
				fields);
	if (rc == 0 && client->cookie != NULL)
		rc = buf_printf(&b, "Cookie: %s\r\n", client->cookie);
	if (rc == 0 && buf_puts(&b, "\r\n") == 0)
		rc = write_all(x, b.p, b.len);
	else
		rc = fail(x, HTTP_FAILURE_HTTP, "the request is too long");
	buf_fini(&b);
	return rc;
}

int
http_begin(struct http_exchange *x, const struct http_client *client, const char *path,
	   const char *fields)
{
	memset(x, 0, sizeof(*x));
	x->fd = -1;
	buf_init(&x->raw, RAW_MAX);
	buf_init(&x->body, BODY_MAX);
	x->begun_ms = clock_ms();
	x->until_ms = x->begun_ms + client->connect_ms;
	if (connect_tcp(x, client) < 0 || begin_tls(x, client) < 0 || shake_hands(x) < 0 ||
	    send_request(x, client, path, fields) < 0) {
		x->is_ended = true;
		return -1;
	}
	return 0;
}

void
http_fini(struct http_exchange *x)
{
	SSL_free(x->ssl);
	if (x->fd >= 0)
		close(x->fd);
	free(x->head);
	buf_fini(&x->raw);
	buf_fini(&x->body);
	x->ssl = NULL;
	x->fd = -1;
	x->head = NULL;
	x->is_ended = true;
}

/* The answer */

bool
http_header(const struct http_exchange *x, const char *name, char *out, size_t len)
{
	size_t name_len = strlen(name);

	for (const char *p = x->head; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncasecmp(p, name, name_len) != 0 || p[name_len] != ':')
			continue;
		p += name_len + 1;
		p += strspn(p, " \t");
		snprintf(out, len, "%.*s", (int)strcspn(p, "\r\n"), p);
		return true;
	}
	return false;
}

static void
end(struct http_exchange *x, bool is_cut)
{
	x->is_ended = true;
	x->is_cut = is_cut;
	x->ended_ms = clock_ms();
}

static int
take_head(struct http_exchange *x)
{
	const char *stop = memmem(x->raw.p, x->raw.len, "\r\n\r\n", 4);
	char value[64];
	size_t len;

	if (stop == NULL)
		return 0;
	len = (size_t)(stop - x->raw.p) + 2;
	if (strncmp(x->raw.p, "HTTP/1.", 7) != 0)
		return fail(x, HTTP_FAILURE_HTTP, "what it says is no HTTP/1.1");
	if ((x->head = strndup(x->raw.p, len)) == NULL)
		return fail(x, HTTP_FAILURE_HTTP, "out of memory");
	buf_consume(&x->raw, len + 2);
	x->status = (int)strtol(x->head + strcspn(x->head, " "), NULL, 10);
	x->head_ms = clock_ms();
	x->is_chunked = http_header(x, "Transfer-Encoding", value, sizeof(value)) &&
			strcasecmp(value, "chunked") == 0;
	return 0;
}

/* A chunk's size stands in hexadecimal digits (RFC 9112, 7.1), perhaps before an extension. */
static bool
read_size(size_t *size, const char *p, const char *eol)
{
	const char *start = p;

	for (*size = 0; p < eol && isxdigit((unsigned char)*p); p++)
		*size = *size << 4 |
			(size_t)(isdigit((unsigned char)*p) ? *p - '0' : tolower(*p) - 'a' + 10);
	return p > start && p - start <= SIZE_DIGITS;
}

/* The line that begins a chunk, with the end of the one before it. What is none ends it all. */
static bool
take_chunk_line(struct http_exchange *x)
{
	size_t at = 0;
	const char *eol;
	bool is_size;

	while (at < x->raw.len && (x->raw.p[at] == '\r' || x->raw.p[at] == '\n'))
		at++;
	if (x->raw.len == 0 || (eol = memchr(x->raw.p + at, '\n', x->raw.len - at)) == NULL)
		return false;
	is_size = read_size(&x->chunk_left, x->raw.p + at, eol);
	buf_consume(&x->raw, (size_t)(eol + 1 - x->raw.p));
	if (!is_size || x->chunk_left == 0)
		end(x, !is_size);
	return !x->is_ended;
}

/* Returns 0 or a negative errno. */
static int
take_body(struct http_exchange *x)
{
	int rc = 0;

	if (!x->is_chunked) {
		rc = x->raw.len > 0 ? buf_put(&x->body, x->raw.p, x->raw.len) : 0;
		buf_consume(&x->raw, x->raw.len);
	}
	while (rc == 0 && x->is_chunked && !x->is_ended && x->raw.len > 0) {
		size_t n;

		if (x->chunk_left == 0 && !take_chunk_line(x))
			break;
		n = x->raw.len < x->chunk_left ? x->raw.len : x->chunk_left;
		rc = buf_put(&x->body, x->raw.p, n);
		buf_consume(&x->raw, n);
		x->chunk_left -= n;
	}
	if (rc == 0 && x->on_body != NULL)
		x->on_body(x);
	return rc;
}

/* What is there. Returns false if it is over. */
static bool
take(struct http_exchange *x)
{
	char piece[PIECE];
	ssize_t n;

	for (;;) {
		n = x->ssl != NULL ? SSL_read(x->ssl, piece, sizeof(piece))
				   : recv(x->fd, piece, sizeof(piece), 0);
		if (n <= 0)
			break;
		if (buf_put(&x->raw, piece, (size_t)n) < 0 ||
		    (x->head == NULL && take_head(x) < 0) ||
		    (x->head != NULL && take_body(x) < 0)) {
			end(x, true);
			return false;
		}
		if (x->is_ended)
			return false;
	}
	if (x->ssl != NULL ? SSL_get_error(x->ssl, (int)n) == SSL_ERROR_WANT_READ
			   : n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	ERR_clear_error();
	end(x, n < 0 || x->head == NULL || x->is_chunked);
	return false;
}

static void
read_all(struct http_exchange *const *v, const struct pollfd *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i].fd >= 0 && p[i].revents != 0)
			(void)take(v[i]);
	}
}

void
http_run(struct http_exchange *const *v, size_t n, unsigned ms, bool (*done)(void *arg), void *arg)
{
	uint64_t until = clock_ms() + ms, now;
	struct pollfd *p = calloc(n + 1, sizeof(*p));

	while (p != NULL && (now = clock_ms()) < until && (done == NULL || !done(arg))) {
		size_t n_open = 0;

		for (size_t i = 0; i < n; i++) {
			p[i] =
			    (struct pollfd){.fd = v[i]->is_ended ? -1 : v[i]->fd, .events = POLLIN};
			n_open += !v[i]->is_ended;
		}
		if (n_open == 0)
			break;
		if (poll(p, (nfds_t)n, (int)(until - now)) > 0)
			read_all(v, p, n);
	}
	free(p);
}

/* HTTP/2 */

static const unsigned char h2_begin[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
					"\0\0\0\4\0\0\0\0"; /* our SETTINGS: none */

static bool
read_h2(const struct http_exchange *x, unsigned char *p, size_t len)
{
	while (len > 0) {
		int n = SSL_read(x->ssl, p, (int)len);

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (!can_go_on(x, n)) {
			return false;
		}
	}
	return true;
}

/* SETTINGS is the first frame that a server sends (RFC 9113, 3.4 and 6.5). */
static long
read_settings(const struct http_exchange *x)
{
	enum { FRAME_SETTINGS = 4, MAX_CONCURRENT_STREAMS = 3, ENTRY = 6, HEAD = 9 };
	unsigned char head[HEAD], entry[ENTRY];
	long most = 0;

	if (!read_h2(x, head, sizeof(head)) || head[3] != FRAME_SETTINGS)
		return -1;
	for (size_t left = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2]; left >= ENTRY;
	     left -= ENTRY) {
		if (!read_h2(x, entry, sizeof(entry)))
			return -1;
		if ((entry[0] << 8 | entry[1]) == MAX_CONCURRENT_STREAMS)
			most = (long)entry[2] << 24 | (long)entry[3] << 16 | (long)entry[4] << 8 |
			       entry[5];
	}
	return most;
}

long
http_h2_streams(const struct http_client *client)
{
	static const unsigned char protocols[] = "\x02h2\x08http/1.1";
	struct http_exchange x = {.fd = -1, .until_ms = clock_ms() + client->connect_ms};
	const unsigned char *chosen = NULL;
	unsigned len = 0;
	long most = -1;

	if (client->tls != NULL && connect_tcp(&x, client) == 0 && begin_tls(&x, client) == 0 &&
	    SSL_set_alpn_protos(x.ssl, protocols, sizeof(protocols) - 1) == 0 &&
	    shake_hands(&x) == 0) {
		SSL_get0_alpn_selected(x.ssl, &chosen, &len);
		/* The string's own NUL is the last byte of our SETTINGS. */
		if (len == 2 && memcmp(chosen, "h2", 2) == 0 &&
		    write_all(&x, (const char *)h2_begin, sizeof(h2_begin)) == 0)
			most = read_settings(&x);
	}
	http_fini(&x);
	return most;
}
