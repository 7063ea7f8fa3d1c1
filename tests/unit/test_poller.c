/*
 * test_poller.c - descriptors in an epoll of their own, which libuv polls as one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/poller.h"

enum { MANY = 300 /* more than are taken in one turn */ };

struct end {
	int fd, peer;
	unsigned events; /* of the last call */
	unsigned n_calls;
	struct end *forgets; /* which its call forgets and closes */
};

static struct fixture {
	uv_loop_t loop;
	struct poller poller;
	struct closing closing;
	bool is_closed;
	struct end ends[MANY];
} fx;

static void
shut(struct end *end)
{
	poller_forget(&fx.poller, end->fd);
	close(end->fd);
	close(end->peer);
	end->fd = -1;
}

static void
on_ready(void *what, unsigned events)
{
	struct end *end = what;

	end->events = events;
	end->n_calls++;
	if (end->forgets != NULL && end->forgets->fd >= 0)
		shut(end->forgets);
}

static void
on_closed(struct closing *closing)
{
	(void)closing;
	fx.is_closed = true;
}

static int
begin(void **state)
{
	(void)state;
	fx = (struct fixture){0};
	for (int i = 0; i < MANY; i++)
		fx.ends[i].fd = -1;
	assert_int_equal(uv_loop_init(&fx.loop), 0);
	return poller_open(&fx.poller, &fx.loop, on_ready);
}

static int
end(void **state)
{
	(void)state;
	for (int i = 0; i < MANY; i++) {
		if (fx.ends[i].fd >= 0)
			shut(&fx.ends[i]);
	}
	closing_begin(&fx.closing, on_closed);
	poller_close(&fx.poller, &fx.closing);
	uv_run(&fx.loop, UV_RUN_DEFAULT);
	assert_true(fx.is_closed);
	return uv_loop_close(&fx.loop);
}

static struct end *
add(int i, unsigned events)
{
	struct end *end = &fx.ends[i];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	*end = (struct end){.fd = pair[0], .peer = pair[1]};
	assert_int_equal(poller_add(&fx.poller, end->fd, events, end), 0);
	return end;
}

static void
turn(void)
{
	uv_run(&fx.loop, UV_RUN_NOWAIT);
}

static void
what_is_waited_for_is_told(void **state)
{
	struct end *a, *b;

	(void)state;
	a = add(0, EPOLLIN);
	b = add(1, EPOLLIN);
	turn();
	assert_int_equal(a->n_calls + b->n_calls, 0);
	assert_int_equal(write(b->peer, "x", 1), 1);
	turn();
	turn(); /* nobody has read it */
	assert_int_equal(a->n_calls, 0);
	assert_int_equal(b->n_calls, 2);
	assert_int_equal(b->events, EPOLLIN);
}

static void
other_events_can_be_waited_for(void **state)
{
	struct end *a;

	(void)state;
	a = add(0, EPOLLIN);
	poller_change(&fx.poller, a->fd, EPOLLIN | EPOLLOUT, a);
	turn();
	assert_int_equal(a->events, EPOLLOUT);
	poller_change(&fx.poller, a->fd, EPOLLIN, a);
	turn();
	assert_int_equal(a->n_calls, 1);
}

static void
what_is_forgotten_is_told_no_more(void **state)
{
	struct end *a;

	(void)state;
	a = add(0, EPOLLIN);
	assert_int_equal(write(a->peer, "x", 1), 1);
	poller_forget(&fx.poller, a->fd);
	turn();
	assert_int_equal(a->n_calls, 0);
	assert_int_equal(poller_add(&fx.poller, a->fd, EPOLLIN, a), 0);
	turn();
	assert_int_equal(a->n_calls, 1);
}

static void
one_call_may_forget_the_other(void **state)
{
	struct end *a, *b;

	(void)state;
	a = add(0, EPOLLIN);
	b = add(1, EPOLLIN);
	a->forgets = b;
	b->forgets = a;
	assert_int_equal(write(a->peer, "x", 1), 1);
	assert_int_equal(write(b->peer, "x", 1), 1);
	turn();
	/* Both were ready, so both are told. The second forgets the first only if it is there. */
	assert_int_equal(a->n_calls, 1);
	assert_int_equal(b->n_calls, 1);
	assert_int_equal(b->fd, -1);
	assert_int_equal(a->fd, -1);
	turn();
	assert_int_equal(a->n_calls + b->n_calls, 2);
}

static void
a_peer_that_goes_is_told(void **state)
{
	struct end *a;

	(void)state;
	a = add(0, EPOLLIN);
	shutdown(a->peer, SHUT_RDWR);
	turn();
	assert_int_equal(a->n_calls, 1);
	assert_int_equal(a->events, EPOLLIN | EPOLLHUP);
}

static void
many_have_their_turn(void **state)
{
	int i, n = 0;

	(void)state;
	for (i = 0; i < MANY; i++) {
		struct end *a = add(i, EPOLLIN);

		assert_int_equal(write(a->peer, "x", 1), 1);
	}
	turn();
	turn();
	for (i = 0; i < MANY; i++)
		n += fx.ends[i].n_calls > 0;
	assert_int_equal(n, MANY);
}

static void
a_closed_descriptor_cannot_be_added(void **state)
{
	struct end *a;

	(void)state;
	a = add(0, EPOLLIN);
	assert_true(poller_add(&fx.poller, a->fd, EPOLLIN, a) < 0); /* it is there already */
	assert_true(poller_add(&fx.poller, -1, EPOLLIN, a) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_waited_for_is_told),
	    TEST(other_events_can_be_waited_for),
	    TEST(what_is_forgotten_is_told_no_more),
	    TEST(one_call_may_forget_the_other),
	    TEST(a_peer_that_goes_is_told),
	    TEST(many_have_their_turn),
	    TEST(a_closed_descriptor_cannot_be_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
