#include "cli/reach.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/units.h"

enum { MOMENT_MS = 300, HTTP_PORT = 80, PORT_MAX = 65535 };

static const char *
parse_port(unsigned *port, const char *text)
{
	uint64_t n;

	if (units_number(&n, text) < 0 || n == 0 || n > PORT_MAX)
		return "the port is a number from 1 to 65535";
	*port = (unsigned)n;
	return NULL;
}

/* HOST, [HOST], each with or without :PORT. */
static const char *
parse_host(struct reach *at, const char *text, size_t len)
{
	const char *host = text, *end = text + len, *colon = memrchr(text, ':', len);
	char port[8];

	if (len > 0 && *text == '[') {
		host = text + 1;
		if ((end = memchr(text, ']', len)) == NULL)
			return "a bracket is missing";
		if (colon != NULL && colon < end)
			colon = NULL;
	} else if (colon != NULL) {
		end = colon;
	}
	if (end == host || (size_t)(end - host) >= sizeof(at->host))
		return "there is no host in it";
	snprintf(at->host, sizeof(at->host), "%.*s", (int)(end - host), host);
	if (colon == NULL)
		return at->port > 0 ? NULL : "there is no port in it";
	snprintf(port, sizeof(port), "%.*s", (int)(text + len - colon - 1), colon + 1);
	return parse_port(&at->port, port);
}

const char *
reach_parse(struct reach *at, const char *scheme, const char *text)
{
	size_t len;

	*at = (struct reach){.port = *scheme != '\0' ? HTTP_PORT : 0};
	if (strncmp(text, scheme, strlen(scheme)) != 0)
		return "it must begin with http://";
	text += strlen(scheme);
	len = strcspn(text, "/?#");
	if (text[len] != '\0' && strcmp(text + len, "/") != 0)
		return "it is a server's address, without a path";
	return parse_host(at, text, len);
}

/* Is it there within a moment? */
static bool
answers(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), fault = 1;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t fault_len = sizeof(fault);

	if (fd < 0)
		return false;
	if (connect(fd, addr, len) == 0)
		fault = 0;
	else if (errno == EINPROGRESS && poll(&p, 1, MOMENT_MS) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &fault_len);
	close(fd);
	return fault == 0;
}

static struct addrinfo *
resolve(const struct reach *at)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char port[8];

	snprintf(port, sizeof(port), "%u", at->port);
	return getaddrinfo(at->host, port, &hints, &list) == 0 ? list : NULL;
}

bool
reach_look(struct reach *at)
{
	struct addrinfo *list = resolve(at), *ai;
	bool is_there = false;

	for (ai = list; ai != NULL && !is_there; ai = ai->ai_next) {
		is_there = answers(ai->ai_addr, ai->ai_addrlen);
		if (is_there || *at->address == '\0')
			getnameinfo(ai->ai_addr, ai->ai_addrlen, at->address, sizeof(at->address),
				    NULL, 0, NI_NUMERICHOST);
	}
	if (list != NULL)
		freeaddrinfo(list);
	return is_there;
}

bool
reach_may_bind(const struct reach *at)
{
	struct addrinfo *list = resolve(at);
	int fd, on = 1, rc = -1;

	if (list == NULL)
		return false;
	if ((fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		rc = bind(fd, list->ai_addr, list->ai_addrlen);
		close(fd);
	}
	freeaddrinfo(list);
	return rc == 0;
}

bool
reach_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return false;
	memcpy(addr.sun_path, path, strlen(path));
	return answers((const struct sockaddr *)&addr, sizeof(addr));
}
