#include "fcgi/poller.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/list.h"

/* What is ready beyond these has its turn when the loop has run once. */
enum { N_READY = 256 };

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct poller *p = LIST_ENTRY(poll, struct poller, poll);
	struct epoll_event ready[N_READY];
	int i, n;

	(void)status;
	(void)events;
	n = epoll_wait(p->fd, ready, N_READY, 0);
	for (i = 0; i < n; i++)
		p->on_ready(ready[i].data.ptr, ready[i].events);
}

int
poller_open(struct poller *p, uv_loop_t *loop, void (*on_ready)(void *what, unsigned events))
{
	int rc;

	p->on_ready = on_ready;
	if ((p->fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		return -errno;
	if ((rc = uv_poll_init(loop, &p->poll, p->fd)) < 0) {
		close(p->fd);
		return rc;
	}
	uv_poll_start(&p->poll, UV_READABLE, on_poll);
	return 0;
}

int
poller_add(struct poller *p, int fd, unsigned events, void *what)
{
	struct epoll_event ev = {.events = events, .data.ptr = what};

	return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void
poller_change(struct poller *p, int fd, unsigned events, void *what)
{
	struct epoll_event ev = {.events = events, .data.ptr = what};
	int rc = epoll_ctl(p->fd, EPOLL_CTL_MOD, fd, &ev);

	assert(rc == 0);
	(void)rc;
}

void
poller_forget(struct poller *p, int fd)
{
	epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, NULL);
}

void
poller_close(struct poller *p, struct closing *closing)
{
	closing_add(closing, (uv_handle_t *)&p->poll);
	close(p->fd);
	p->fd = -1;
}
