#include "cli/client.h"

#include <errno.h>
#include <fastcgi.h>
#include <json-c/json.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "cli/subcommand.h"
#include "config/config.h"
#include "fcgi/pairs.h"
#include "fcgi/record.h"
#include "sse/wire.h"

#define REQUEST_ID 1
#define HEAD_MAX   ((size_t)64 << 10)
#define BODY_MAX   ((size_t)64 << 20)
#define HEADER_MAX ((size_t)16 << 10)

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
	char host[256], service[8];
	int fd = -1, saved = EINVAL;
	bool is_bracketed;
	uint16_t port;

	if (address_split(text, host, sizeof(host), &is_bracketed, &port) < 0)
		return -EINVAL;
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &list) != 0)
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
connect_to(const struct client *client, const char *address)
{
	int fd;

	if (address == NULL || strcmp(address, "inherit") == 0) {
		fprintf(stderr,
			"sluice %s: the configuration has no \"listen\" to connect to; -l "
			"ADDRESS\n",
			client->name);
		return -1;
	}
	fd = strncmp(address, "unix:", 5) == 0 ? connect_unix(address + 5) : connect_tcp(address);
	if (fd < 0)
		fprintf(stderr, "sluice %s: %s: %s\n", client->name, address, strerror(-fd));
	return fd;
}

/* Asking */

static int
put_record(struct buf *b, unsigned char type, const void *content, size_t len)
{
	static const char padding[8];
	FCGI_Header head;
	int rc;

	record_head(&head, type, REQUEST_ID, len);
	if ((rc = buf_put(b, &head, sizeof(head))) < 0 || len == 0 ||
	    (rc = buf_put(b, content, len)) < 0)
		return rc;
	return buf_put(b, padding, record_padding(len));
}

static int
put_param(struct buf *b, const char *name, const char *value, size_t len)
{
	return pairs_put(b, name, strlen(name), value, len);
}

static int
put_params(const struct client *client, struct buf *b, const char *uri)
{
	static const char *const fixed[][2] = {
	    {"GATEWAY_INTERFACE", "CGI/1.1"},
	    {"SERVER_PROTOCOL", "HTTP/1.1"},
	    {"SERVER_SOFTWARE", "sluice"},
	    {"SERVER_NAME", "localhost"},
	    {"SERVER_PORT", "80"},
	    {"REMOTE_ADDR", "127.0.0.1"},
	    {"REQUEST_METHOD", "GET"},
	    {"HTTP_HOST", "localhost"},
	};
	const char *query = strchrnul(uri, '?');
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(fixed) / sizeof(fixed[0]); i++)
		rc = put_param(b, fixed[i][0], fixed[i][1], strlen(fixed[i][1]));
	if (rc == 0)
		rc = put_param(b, "HTTP_ACCEPT", client->accept, strlen(client->accept));
	if (rc == 0 && client->authorization.len > 0)
		rc = put_param(b, "HTTP_AUTHORIZATION", client->authorization.p,
			       client->authorization.len);
	if (rc == 0 && client->cookie != NULL)
		rc = put_param(b, "HTTP_COOKIE", client->cookie, strlen(client->cookie));
	if (rc == 0 && client->last_event_id != NULL)
		rc = put_param(b, "HTTP_LAST_EVENT_ID", client->last_event_id,
			       strlen(client->last_event_id));
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
ask(const struct client *client, int fd, const char *uri)
{
	const FCGI_BeginRequestBody begin = {.roleB0 = FCGI_RESPONDER};
	struct buf params, request;
	int rc;

	buf_init(&params, FCGI_MAX_LENGTH);
	buf_init(&request, (size_t)2 * FCGI_MAX_LENGTH);
	if ((rc = put_params(client, &params, uri)) == 0 &&
	    (rc = put_record(&request, FCGI_BEGIN_REQUEST, &begin, sizeof(begin))) == 0 &&
	    (rc = put_record(&request, FCGI_PARAMS, params.p, params.len)) == 0 &&
	    (rc = put_record(&request, FCGI_PARAMS, NULL, 0)) == 0 &&
	    (rc = put_record(&request, FCGI_STDIN, NULL, 0)) == 0)
		rc = send_all(fd, request.p, request.len);
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

static bool
is_stream(const char *type)
{
	const struct wire *wire;

	for (size_t i = 0; (wire = wire_nth(i)) != NULL; i++) {
		if (strncmp(type, wire->media_type, strlen(wire->media_type)) == 0)
			return true;
	}
	return false;
}

/*
 * The head is complete: reads its status, and removes it from client->text. Returns 0, -EPROTO;
 * -ENOTSUP for a stream that is not wanted.
 */
static int
take_head(struct client *client)
{
	const char *end = memmem(client->text.p, client->text.len, "\r\n\r\n", 4), *field;
	size_t len;

	if (end == NULL)
		return client->text.len > HEAD_MAX ? -EPROTO : 0;
	client->has_head = true;
	client->status = 200;
	if ((field = head_field(client->text.p, end + 2, "Status: ", &len)) != NULL) {
		snprintf(client->reason, sizeof(client->reason), "%.*s", (int)len, field);
		client->status = (int)strtol(client->reason, NULL, 10);
	}
	field = head_field(client->text.p, end + 2, "Content-Type: ", &len);
	if (client->refuses_streams && field != NULL && is_stream(field))
		return -ENOTSUP;
	buf_consume(&client->text, (size_t)(end + 4 - client->text.p));
	return 0;
}

/* Adds the content of an FCGI_STDOUT. Returns 0 or a negative errno. */
static int
take_content(struct client *client, const char *p, size_t len)
{
	int rc;

	if ((rc = buf_put(&client->text, p, len)) < 0)
		return rc;
	if (!client->has_head && (rc = take_head(client)) < 0)
		return rc;
	if (client->has_head && client->status == 200 && client->on_body != NULL)
		return client->on_body(client);
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

/* Reads records until the request ends. Returns 0 or a negative errno. */
static int
read_records(struct client *client, int fd)
{
	unsigned char content[FCGI_MAX_LENGTH + 255];
	FCGI_Header h;
	int rc;

	for (;;) {
		if ((rc = read_all(fd, &h, sizeof(h))) < 0)
			return rc;
		if (h.version != FCGI_VERSION_1)
			return -EPROTO;
		size_t len = (size_t)h.contentLengthB1 << 8 | h.contentLengthB0;
		if ((rc = read_all(fd, content, len + h.paddingLength)) < 0)
			return rc;
		if (h.type == FCGI_END_REQUEST)
			return client->has_head ? 0 : -EPROTO;
		if (h.type == FCGI_STDOUT && (rc = take_content(client, (char *)content, len)) < 0)
			return rc;
	}
}

int
client_check(const struct options *opt)
{
	if (opt->user != NULL && opt->token != NULL)
		return command_refuse(opt, "one of --user and --token");
	if (opt->user != NULL && *opt->user == '\0')
		return command_refuse(opt, "--user is empty");
	if (opt->token != NULL && *opt->token == '\0')
		return command_refuse(opt, "--token is empty");
	if (opt->cookie != NULL && (*opt->cookie == '=' || strchr(opt->cookie, '=') == NULL))
		return command_refuse(opt, "--cookie takes NAME=VALUE");
	return 0;
}

int
client_authorise(struct client *client, const struct config *cfg, const struct options *opt)
{
	client->cookie = opt->cookie;
	if (opt->user == NULL && opt->token == NULL)
		return 0;
	if (buf_puts(&client->authorization, "Bearer ") < 0)
		return 1;
	if (opt->token != NULL)
		return buf_puts(&client->authorization, opt->token) < 0;
	return command_put_token(&client->authorization, cfg, opt);
}

/* If an answer is no problem document, its body says what is wrong, as that of health does. */
static void
print_body(const struct client *client)
{
	const char *body = client->text.p;
	size_t len = 0;

	/* If memory was short, no NUL stands behind it. */
	while (len < client->text.len && strchr("\r\n", body[len]) == NULL)
		len++;
	fprintf(stderr, "sluice %s: %s%s%.*s\n", client->name, client->reason, len > 0 ? ": " : "",
		(int)len, len > 0 ? body : "");
}

void
client_print_problem(struct client *client)
{
	struct json_object *o = NULL, *detail = NULL;

	if (buf_putc(&client->text, '\0') == 0)
		o = json_tokener_parse(client->text.p);
	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, "detail", &detail);
	if (detail != NULL)
		fprintf(stderr, "sluice %s: %s: %s\n", client->name, client->reason,
			json_object_get_string(detail));
	else
		print_body(client);
	json_object_put(o);
}

/* The path as a browser asks for it: the base is put before it, unless it stands there already. */
static char *
full_path(const char *base, const char *path)
{
	size_t len = strlen(base);
	char *full;

	if (strncmp(path, base, len) == 0 && (path[len] == '/' || path[len] == '\0'))
		base = "";
	return asprintf(&full, "%s%s%s", base, *path == '/' ? "" : "/", path) < 0 ? NULL : full;
}

void
client_init(struct client *client, const char *name)
{
	memset(client, 0, sizeof(*client));
	client->name = name;
	client->accept = wire_nth(0)->media_type;
	buf_init(&client->text, BODY_MAX);
	buf_init(&client->authorization, HEADER_MAX);
}

static void
print_error(const struct client *client, int rc)
{
	fprintf(stderr, "sluice %s: %s\n", client->name,
		rc == -EPIPE      ? "the server has closed the connection"
		: rc == -ENOTSUP  ? "the path is a stream's: \"sluice tail\" prints it, ?mode=poll "
				    "asks for one message"
		: rc == -EPROTO   ? "what the server says is no FastCGI answer"
		: rc == -EMSGSIZE ? "the request or an event is too large"
				  : strerror(-rc));
}

int
client_ask(struct client *client, const struct config *cfg, const char *address, const char *path)
{
	char *uri = full_path(cfg->server.base, path);
	int fd = -1, rc = -1;

	if (uri == NULL) {
		print_error(client, -ENOMEM);
		return -ENOMEM;
	}
	fd = connect_to(client, address != NULL ? address : cfg->server.listen);
	if (fd >= 0 && (rc = ask(client, fd, uri)) == 0)
		rc = read_records(client, fd);
	if (fd >= 0 && rc < 0 && rc != -ECANCELED && rc != -ENODATA)
		print_error(client, rc);
	if (fd >= 0)
		close(fd);
	free(uri);
	return rc;
}

void
client_fini(struct client *client)
{
	buf_fini(&client->text);
	buf_fini(&client->authorization);
}
