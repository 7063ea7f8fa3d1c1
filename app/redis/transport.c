#include "redis/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "redis/tls.h"

int
transport_fail(struct transport *t, int err, const char *why)
{
	snprintf(t->why, sizeof(t->why), "%s", why);
	return err;
}

static int
fail_errno(struct transport *t, int err)
{
	return transport_fail(t, -err, strerror(err));
}

static int
plain_handshake(struct transport *t)
{
	(void)t;
	return 0;
}

static ssize_t
plain_read(struct transport *t, void *p, size_t len)
{
	ssize_t n;

	do
		n = recv(t->fd, p, len, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return transport_fail(t, -ECONNRESET, "it closed the connection");
	return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : fail_errno(t, errno);
}

static ssize_t
plain_write(struct transport *t, const void *p, size_t len)
{
	ssize_t n;

	do
		n = send(t->fd, p, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : fail_errno(t, errno);
}

static bool
plain_has_pending(const struct transport *t)
{
	(void)t;
	return false;
}

static void
plain_close(struct transport *t)
{
	(void)t;
}

static const struct transport_kind plain = {
    .handshake = plain_handshake,
    .read = plain_read,
    .write = plain_write,
    .has_pending = plain_has_pending,
    .close = plain_close,
};

void
transport_init(struct transport *t)
{
	memset(t, 0, sizeof(*t));
	t->fd = -1;
	t->kind = &plain;
}

/* Nagle's algorithm is switched off, because commands are small and each waits for its answer. */
static void
send_at_once(int fd, const struct sockaddr *to)
{
	int yes = 1;

	if (to->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

int
transport_connect(struct transport *t, const struct sockaddr *to, socklen_t len, struct tls *tls,
		  const char *server)
{
	transport_init(t);
	t->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return fail_errno(t, errno);
	send_at_once(t->fd, to);
	t->wants_write = true;
	if (connect(t->fd, to, len) < 0 && errno != EINPROGRESS)
		return fail_errno(t, errno);
	return tls != NULL ? tls_begin(tls, t, server) : 0;
}

int
transport_handshake(struct transport *t)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (!t->is_connected) {
		if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
			err = errno;
		if (err != 0)
			return fail_errno(t, err);
		t->is_connected = true;
		t->wants_write = false;
	}
	return t->kind->handshake(t);
}

ssize_t
transport_read(struct transport *t, void *p, size_t len)
{
	return t->kind->read(t, p, len);
}

ssize_t
transport_write(struct transport *t, const void *p, size_t len)
{
	return t->kind->write(t, p, len);
}

bool
transport_has_pending(const struct transport *t)
{
	return t->kind->has_pending(t);
}

void
transport_close(struct transport *t)
{
	if (t->fd < 0)
		return;
	t->kind->close(t);
	close(t->fd);
	t->fd = -1;
	t->session = NULL;
}
