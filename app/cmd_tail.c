/*
 * cmd_tail.c - a subscriber in the terminal: asks the running server by FastCGI, as a web server
 * does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fastcgi.h>
#include <json-c/json.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd.h"
#include "config.h"

#define REQUEST_ID 1
#define HEAD_MAX   ((size_t)64 << 10)
#define FRAME_MAX  ((size_t)64 << 20)

static const char usage[] =
    "usage: sluice tail [-c FILE] [-l ADDRESS] [--json] PATH\n"
    "Subscribes to a route of the running server and prints each event as it comes. ADDRESS is\n"
    "unix:PATH or HOST:PORT, by default the \"listen\" of the configuration. PATH may have a "
    "query.\n"
    "--json prints one JSON object per event. Ctrl-C ends it.\n";

struct tail {
	int fd;
	bool is_json;
	bool has_head;
	int status;       /* of the answer */
	char reason[128]; /* what stands behind it */
	struct buf text;  /* what came on FCGI_STDOUT and is not dealt with */
};

static void
on_interrupt(int number)
{
	(void)number;
	_exit(0); /* each event was flushed when it came */
}

/* Connecting */

static int
connect_unix(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static int
connect_tcp(const char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *ai;
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t len;
	int fd = -1, saved = EINVAL;

	if (colon == NULL)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (len > 1 && text[0] == '[' && text[len - 1] == ']')
		snprintf(host, sizeof(host), "%.*s", (int)len - 2, text + 1);
	else
		snprintf(host, sizeof(host), "%.*s", (int)len, text);
	if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
		return -EADDRNOTAVAIL;
	for (ai = list; ai != NULL && fd < 0; ai = ai->ai_next) {
		fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);
		if (fd >= 0 && connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
			saved = errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	return fd >= 0 ? fd : -saved;
}

static int
connect_to(const char *address)
{
	int fd;

	if (address == NULL || strcmp(address, "inherit") == 0) {
		fputs(
		    "sluice tail: the configuration has no \"listen\" to connect to; -l ADDRESS\n",
		    stderr);
		return -1;
	}
	fd = strncmp(address, "unix:", 5) == 0 ? connect_unix(address + 5) : connect_tcp(address);
	if (fd < 0)
		fprintf(stderr, "sluice tail: %s: %s\n", address, strerror(-fd));
	return fd;
}

/* Asking */

static int
put_record(struct buf *b, unsigned char type, const void *content, size_t len)
{
	const FCGI_Header h = {.version = FCGI_VERSION_1,
			       .type = type,
			       .requestIdB0 = REQUEST_ID,
			       .contentLengthB1 = (unsigned char)(len >> 8),
			       .contentLengthB0 = (unsigned char)len};
	int rc = buf_put(b, &h, sizeof(h));

	return rc < 0 || len == 0 ? rc : buf_put(b, content, len);
}

/* A length of a name-value pair (FastCGI 1.0, section 3.4). */
static int
put_len(struct buf *b, size_t len)
{
	const unsigned char four[] = {(unsigned char)(len >> 24 | 0x80), (unsigned char)(len >> 16),
				      (unsigned char)(len >> 8), (unsigned char)len};

	return len < 128 ? buf_putc(b, (char)len) : buf_put(b, four, sizeof(four));
}

static int
put_param(struct buf *b, const char *name, const char *value, size_t len)
{
	int rc;

	if ((rc = put_len(b, strlen(name))) < 0 || (rc = put_len(b, len)) < 0 ||
	    (rc = buf_puts(b, name)) < 0)
		return rc;
	return buf_put(b, value, len);
}

static int
put_params(struct buf *b, const char *uri)
{
	static const char *const fixed[][2] = {
	    {"GATEWAY_INTERFACE", "CGI/1.1"},
	    {"SERVER_PROTOCOL", "HTTP/1.1"},
	    {"SERVER_SOFTWARE", "sluice tail"},
	    {"SERVER_NAME", "localhost"},
	    {"SERVER_PORT", "80"},
	    {"REMOTE_ADDR", "127.0.0.1"},
	    {"REQUEST_METHOD", "GET"},
	    {"HTTP_HOST", "localhost"},
	    {"HTTP_ACCEPT", "text/event-stream"},
	};
	const char *query = strchrnul(uri, '?');
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(fixed) / sizeof(fixed[0]); i++)
		rc = put_param(b, fixed[i][0], fixed[i][1], strlen(fixed[i][1]));
	if (rc < 0 || (rc = put_param(b, "REQUEST_URI", uri, strlen(uri))) < 0 ||
	    (rc = put_param(b, "SCRIPT_NAME", uri, (size_t)(query - uri))) < 0)
		return rc;
	query += *query == '?';
	return put_param(b, "QUERY_STRING", query, strlen(query));
}

static int
send_all(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

static int
ask(struct tail *t, const char *uri)
{
	const FCGI_BeginRequestBody begin = {.roleB0 = FCGI_RESPONDER};
	struct buf params, request;
	int rc;

	buf_init(&params, FCGI_MAX_LENGTH);
	buf_init(&request, (size_t)2 * FCGI_MAX_LENGTH);
	if ((rc = put_params(&params, uri)) == 0 &&
	    (rc = put_record(&request, FCGI_BEGIN_REQUEST, &begin, sizeof(begin))) == 0 &&
	    (rc = put_record(&request, FCGI_PARAMS, params.p, params.len)) == 0 &&
	    (rc = put_record(&request, FCGI_PARAMS, NULL, 0)) == 0 &&
	    (rc = put_record(&request, FCGI_STDIN, NULL, 0)) == 0)
		rc = send_all(t->fd, request.p, request.len);
	buf_fini(&params);
	buf_fini(&request);
	return rc;
}

/* The answer */

/* The value of a head's field, up to the line's end; NULL. */
static const char *
head_field(const char *head, const char *end, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	for (const char *p = head, *eol; p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if ((size_t)(eol - p) > name_len && strncasecmp(p, name, name_len) == 0) {
			p += name_len;
			*len = (size_t)(eol - p) - (eol > p && eol[-1] == '\r');
			return p;
		}
	}
	return NULL;
}

/* Once the head is whole: its status, and it is taken off t->text. Returns 0, -EPROTO. */
static int
take_head(struct tail *t)
{
	const char *end = memmem(t->text.p, t->text.len, "\r\n\r\n", 4), *field;
	size_t len;

	if (end == NULL)
		return t->text.len > HEAD_MAX ? -EPROTO : 0;
	t->has_head = true;
	t->status = 200;
	if ((field = head_field(t->text.p, end + 2, "Status: ", &len)) != NULL) {
		snprintf(t->reason, sizeof(t->reason), "%.*s", (int)len, field);
		t->status = (int)strtol(t->reason, NULL, 10);
	}
	buf_consume(&t->text, (size_t)(end + 4 - t->text.p));
	return 0;
}

/* One frame without its blank line, as {"id":…,"event":…,"data":…}; a comment prints nothing. */
static void
print_json(const char *p, const char *end)
{
	struct json_object *o = json_object_new_object();
	struct buf data;
	bool has_data = false;

	buf_init(&data, FRAME_MAX);
	for (const char *eol; p < end; p = eol + 1) {
		const char *value;

		if ((eol = memchr(p, '\n', (size_t)(end - p))) == NULL)
			eol = end;
		if ((value = memchr(p, ':', (size_t)(eol - p))) == NULL || value == p)
			continue;
		value += value + 1 < eol && value[1] == ' ' ? 2 : 1;
		if (strncmp(p, "data:", 5) == 0) {
			if (has_data)
				(void)buf_putc(&data, '\n');
			(void)buf_put(&data, value, (size_t)(eol - value));
			has_data = true;
		} else if (strncmp(p, "id:", 3) == 0) {
			json_object_object_add(
			    o, "id", json_object_new_string_len(value, (int)(eol - value)));
		} else if (strncmp(p, "event:", 6) == 0) {
			json_object_object_add(
			    o, "event", json_object_new_string_len(value, (int)(eol - value)));
		}
	}
	if (has_data) {
		json_object_object_add(
		    o, "data",
		    json_object_new_string_len(data.len > 0 ? data.p : "", (int)data.len));
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	buf_fini(&data);
	json_object_put(o);
}

/* What is whole of the stream. */
static void
print_frames(struct tail *t)
{
	const char *end;

	while (t->text.len > 0 && (end = memmem(t->text.p, t->text.len, "\n\n", 2)) != NULL) {
		size_t len = (size_t)(end + 2 - t->text.p);

		if (t->is_json)
			print_json(t->text.p, end + 1);
		else
			fwrite(t->text.p, 1, len, stdout);
		buf_consume(&t->text, len);
	}
	fflush(stdout);
}

/* Content of FCGI_STDOUT. Returns 0 or a negative errno. */
static int
take_content(struct tail *t, const char *p, size_t len)
{
	int rc;

	if ((rc = buf_put(&t->text, p, len)) < 0)
		return rc;
	if (!t->has_head && (rc = take_head(t)) < 0)
		return rc;
	if (t->has_head && t->status == 200)
		print_frames(t);
	return 0;
}

static int
read_all(int fd, void *p, size_t len)
{
	ssize_t n;

	for (size_t done = 0; done < len; done += (size_t)n) {
		n = read(fd, (char *)p + done, len - done);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

/* Until the request ends. Returns 0 or a negative errno. */
static int
read_records(struct tail *t)
{
	unsigned char content[FCGI_MAX_LENGTH + 255];
	FCGI_Header h;
	int rc;

	for (;;) {
		if ((rc = read_all(t->fd, &h, sizeof(h))) < 0)
			return rc;
		if (h.version != FCGI_VERSION_1)
			return -EPROTO;
		size_t len = (size_t)h.contentLengthB1 << 8 | h.contentLengthB0;
		if ((rc = read_all(t->fd, content, len + h.paddingLength)) < 0)
			return rc;
		if (h.type == FCGI_END_REQUEST)
			return t->has_head ? 0 : -EPROTO;
		if (h.type == FCGI_STDOUT && (rc = take_content(t, (char *)content, len)) < 0)
			return rc;
	}
}

/* What a problem document (RFC 9457) says in "detail", on stderr behind the status. */
static void
print_problem(struct tail *t)
{
	struct json_object *o = NULL, *detail = NULL;

	if (buf_putc(&t->text, '\0') == 0)
		o = json_tokener_parse(t->text.p);
	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, "detail", &detail);
	if (detail != NULL)
		fprintf(stderr, "sluice tail: %s: %s\n", t->reason, json_object_get_string(detail));
	else
		fprintf(stderr, "sluice tail: %s\n", t->reason);
	json_object_put(o);
}

static int
follow(struct tail *t, const char *uri)
{
	int rc;

	if ((rc = ask(t, uri)) < 0 || (rc = read_records(t)) < 0) {
		fprintf(stderr, "sluice tail: %s\n",
			rc == -EPIPE      ? "the server has closed the connection"
			: rc == -EPROTO   ? "what the server says is no FastCGI answer"
			: rc == -EMSGSIZE ? "the request or an event is too large"
					  : strerror(-rc));
		return 1;
	}
	if (t->status == 200)
		return 0;
	print_problem(t);
	return 1;
}

/* The path as a browser would ask for it: the base is put before it, unless it is there. */
static char *
full_path(const char *base, const char *path)
{
	size_t len = strlen(base);
	char *full;

	if (strncmp(path, base, len) == 0 && (path[len] == '/' || path[len] == '\0'))
		base = "";
	return asprintf(&full, "%s%s%s", base, *path == '/' ? "" : "/", path) < 0 ? NULL : full;
}

int
cmd_tail(int argc, char **argv)
{
	struct cmd_options opt = {.usage = usage, .n_args = 1, .takes_tail = true};
	struct config *cfg = NULL;
	struct tail t = {.fd = -1};
	char *uri = NULL;
	int status = cmd_options(&opt, argc, argv);

	if (status >= 0)
		return status;
	status = 1;
	buf_init(&t.text, FRAME_MAX);
	t.is_json = opt.is_json;
	if (config_load(&cfg, opt.config, stderr) < 0)
		goto out;
	if ((uri = full_path(cfg->server.base, argv[optind])) == NULL) {
		fputs("sluice tail: out of memory\n", stderr);
		goto out;
	}
	signal(SIGINT, on_interrupt);
	if ((t.fd = connect_to(opt.address != NULL ? opt.address : cfg->server.listen)) >= 0)
		status = follow(&t, uri);
out:
	if (t.fd >= 0)
		close(t.fd);
	free(uri);
	buf_fini(&t.text);
	config_free(cfg);
	return status;
}
