#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

uint64_t
parse_count(const char *option, const char *text, uint64_t max)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || n > max)
		die("--%s must be a number from 0 to %llu, not \"%s\"", option,
		    (unsigned long long)max, text);
	return n;
}

void
raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

void
expand_index(char *out, size_t cap, const char *template, unsigned index)
{
	const char *at = strstr(template, "%d");
	int n;

	if (at == NULL)
		n = snprintf(out, cap, "%s", template);
	else
		n = snprintf(out, cap, "%.*s%u%s", (int)(at - template), template, index, at + 2);
	if (n < 0 || (size_t)n >= cap)
		die("\"%s\" is too long", template);
}

static void
parse_unix(struct endpoint *ep, const char *path)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ep->addr;
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(un->sun_path))
		die("a socket path has 1 to %zu bytes: \"%s\"", sizeof(un->sun_path) - 1, path);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	ep->len = sizeof(*un);
}

void
endpoint_parse(struct endpoint *ep, const char *text)
{
	const struct addrinfo hints = {
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	    .ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(text, ':');
	struct addrinfo *ai;
	char host[64];
	size_t len;

	memset(ep, 0, sizeof(*ep));
	if (strncmp(text, "unix:", 5) == 0) {
		parse_unix(ep, text + 5);
		return;
	}
	len = colon == NULL ? 0 : (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		die("an address is unix:PATH or HOST:PORT, not \"%s\"", text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (getaddrinfo(host, colon + 1, &hints, &ai) != 0)
		die("\"%s\" is not a numeric address and port", text);
	memcpy(&ep->addr, ai->ai_addr, ai->ai_addrlen);
	ep->len = ai->ai_addrlen;
	freeaddrinfo(ai);
}

int
endpoint_connect(const struct endpoint *ep, int flags, int *pending)
{
	int fd, rc, on = 1;

	fd = socket(ep->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	if (ep->addr.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	rc = connect(fd, (const struct sockaddr *)&ep->addr, ep->len) < 0 ? -errno : 0;
	if (pending != NULL)
		*pending = rc == -EINPROGRESS;
	if (rc == 0 || rc == -EINPROGRESS)
		return fd;
	close(fd);
	return rc;
}
