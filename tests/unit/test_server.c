/*
 * test_server.c - connections over a real socket: what a web server reads, whatever the pieces in
 * which the kernel takes it, and whatever becomes of the client meanwhile.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/counters.h"
#include "fcgi/listen.h"
#include "fcgi/record.h"
#include "fcgi/server.h"

enum { TURNS_MAX = 200000, OUT_MAX = 4 << 20, BODY_LEN = 700001 };

static const char get[] = "\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0" /* BEGIN_REQUEST, id 1 */
			  "\1\4\0\1\0\4\0\0\1\1A1"             /* PARAMS */
			  "\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0";
static const char get_keep[] = "\1\1\0\1\0\x08\0\0\0\1\1\0\0\0\0\0"
			       "\1\4\0\1\0\0\0\0\1\5\0\1\0\0\0\0";
static const char get_values[] = "\1\x09\0\0\0\x11\0\0\x0f\0FCGI_MPXS_CONNS";

static struct fixture {
	uv_loop_t loop;
	struct listener listener;
	struct server *server;
	struct subscriber *sub; /* of the last request */
	size_t answer_len;      /* 0: leave it unanswered */
	unsigned n_requests;
	char *out; /* what the client has read */
	size_t n_out;
	char dir[32], address[64];
	int fd;
	bool is_freed;
} fx;

/* In place of libc's: a kernel that takes few bytes at a time, and none every other time. */
static size_t send_cap; /* 0: as many as it likes */

/* The client, whose descriptor is fx.fd, may say as much as it likes. */
ssize_t
send(int fd, const void *p, size_t len, int flags)
{
	static unsigned n_calls;

	if (send_cap > 0 && fd != fx.fd && n_calls++ % 2 == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (send_cap > 0 && fd != fx.fd && len > send_cap)
		len = send_cap;
	return syscall(SYS_sendto, fd, p, len, flags, NULL, 0);
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	char bytes[256];
	size_t n = 0, i, k;

	if (send_cap == 0)
		return syscall(SYS_sendmsg, fd, msg, flags);
	for (i = 0; i < msg->msg_iovlen; i++) {
		for (k = 0; k < msg->msg_iov[i].iov_len && n < send_cap; k++)
			bytes[n++] = ((char *)msg->msg_iov[i].iov_base)[k];
	}
	return send(fd, bytes, n, flags);
}

/* A user may wait for so many descriptors (max_user_watches); the loop's own are there already. */
static bool is_poller_full;

int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	if (is_poller_full && op == EPOLL_CTL_ADD && epfd != uv_backend_fd(&fx.loop)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

static char
byte_at(size_t i)
{
	return (char)('a' + i % 23);
}

static void
answer_with(struct subscriber *sub, const char *p, size_t len)
{
	struct answer a;

	answer_init(&a);
	answer_put(&a, p, len);
	assert_int_equal(subscriber_answer(sub, &a, true), 0);
	answer_fini(&a);
}

static void
on_request(void *ctx, struct subscriber *sub, const struct params *params, const char *body,
	   size_t body_len)
{
	static char answer[BODY_LEN];
	size_t i;

	(void)body;
	assert_ptr_equal(ctx, &fx);
	assert_int_equal(body_len, 0);
	assert_true(fx.n_requests > 0 || params_get(params, "A") == NULL ||
		    strcmp(params_get(params, "A"), "1") == 0);
	fx.n_requests++;
	fx.sub = sub;
	if (fx.answer_len == 0)
		return;
	for (i = 0; i < fx.answer_len; i++)
		answer[i] = byte_at(i);
	answer_with(sub, answer, fx.answer_len);
}

static void
on_freed(void *arg)
{
	*(bool *)arg = true;
}

static int
begin(void **state)
{
	struct listen_settings ls = {.mode = 0600};
	struct server_limits limits = {
	    .params_max = 65536, .body_max = 65536, .read_ms = 60000, .body_ms = 60000};
	char why[256];

	(void)state;
	memset(&fx, 0, sizeof(fx));
	strcpy(fx.dir, "/tmp/test_server.XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	snprintf(fx.address, sizeof(fx.address), "unix:%s/s", fx.dir);
	ls.address = fx.address;
	assert_non_null(fx.out = malloc(OUT_MAX));
	fx.fd = -1;
	assert_int_equal(uv_loop_init(&fx.loop), 0);
	assert_int_equal(listen_open(&fx.listener, &ls, why, sizeof(why)), 0);
	return server_new(&fx.server, &fx.loop, fx.listener.fd, &limits, on_request, &fx);
}

static int
end(void **state)
{
	(void)state;
	if (fx.fd >= 0)
		close(fx.fd);
	server_free(fx.server, on_freed, &fx.is_freed);
	uv_run(&fx.loop, UV_RUN_DEFAULT);
	assert_true(fx.is_freed);
	assert_int_equal(uv_loop_close(&fx.loop), 0);
	listen_close(&fx.listener);
	free(fx.out);
	return rmdir(fx.dir);
}

static void
turn(void)
{
	uv_run(&fx.loop, UV_RUN_NOWAIT);
}

static void
dial(int buffer)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (fx.fd >= 0)
		close(fx.fd);
	fx.n_out = 0;
	fx.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (buffer > 0)
		assert_int_equal(setsockopt(fx.fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)),
				 0);
	strcpy(sa.sun_path, fx.address + 5);
	assert_int_equal(connect(fx.fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void
tell(const char *p, size_t len)
{
	assert_int_equal(send(fx.fd, p, len, MSG_NOSIGNAL), len);
}

/* Read at most max bytes. Returns false at the end. */
static bool
hear(size_t max)
{
	ssize_t n = recv(fx.fd, fx.out + fx.n_out, max, 0);

	if (n > 0)
		fx.n_out += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Turn the loop and read until the server closes. */
static void
hear_all(size_t max)
{
	int i;

	for (i = 0; hear(max); i++) {
		assert_true(i < TURNS_MAX);
		turn();
	}
}

static void
turn_until_requests(unsigned n)
{
	int i;

	for (i = 0; fx.n_requests < n; i++) {
		assert_true(i < TURNS_MAX);
		turn();
	}
}

struct heard {
	size_t stdout_len; /* content, which is as on_request() made it */
	size_t n_fill;     /* of it ":\n" */
	int n_ends, n_values, n_stdout_ends;
};

/* Every record must be whole, and what it carries in order. */
static struct heard
parse(void)
{
	const char *at = fx.out, *stop = fx.out + fx.n_out, *p;
	struct heard h = {0};
	FCGI_Header head;
	size_t len;

	for (; at < stop; at += sizeof(head) + len + head.paddingLength) {
		assert_true((size_t)(stop - at) >= sizeof(head));
		memcpy(&head, at, sizeof(head));
		len = (size_t)(head.contentLengthB1 << 8 | head.contentLengthB0);
		assert_int_equal(head.version, 1);
		assert_true((size_t)(stop - at) >= sizeof(head) + len + head.paddingLength);
		h.n_ends += head.type == FCGI_END_REQUEST;
		h.n_values += head.type == FCGI_GET_VALUES_RESULT;
		h.n_stdout_ends += head.type == FCGI_STDOUT && len == 0;
		for (p = at + sizeof(head); head.type == FCGI_STDOUT && p < at + sizeof(head) + len;
		     p++) {
			if (*p == ":\n"[h.n_fill % 2])
				h.n_fill++;
			else
				assert_int_equal(*p, byte_at(h.stdout_len++ % fx.answer_len));
		}
	}
	return h;
}

static void
a_short_answer_is_one_read(void **state)
{
	struct heard h;

	(void)state;
	fx.answer_len = 13;
	dial(0);
	tell(get, sizeof(get) - 1);
	turn_until_requests(1);
	assert_true(hear(1000));
	assert_int_equal(fx.n_out, 8 + 13 + 3 + 8 + 16);
	h = parse();
	assert_int_equal(h.stdout_len, 13);
	assert_int_equal(h.n_ends, 1);
	hear_all(1000);
	assert_int_equal(fx.n_out, 48);
	assert_int_equal(server_n_connections(fx.server), 0);
}

static void
a_request_byte_by_byte(void **state)
{
	size_t i;

	(void)state;
	fx.answer_len = 1;
	dial(0);
	for (i = 0; i < sizeof(get) - 1; i++) {
		assert_int_equal(fx.n_requests, 0);
		tell(get + i, 1);
		turn();
		turn();
	}
	hear_all(100);
	assert_int_equal(fx.n_requests, 1);
	assert_int_equal(parse().n_ends, 1);
}

/* A reader as slow as can be: the records are as for a fast one. */
static void
a_long_answer_in_pieces(void **state)
{
	static const size_t max[] = {OUT_MAX, 65536, 4099, 777};
	size_t i;

	(void)state;
	fx.answer_len = BODY_LEN;
	for (i = 0; i < sizeof(max) / sizeof(max[0]); i++) {
		struct heard h;

		dial(2048);
		tell(get, sizeof(get) - 1);
		fx.n_out = 0;
		hear_all(max[i] < OUT_MAX ? max[i] : 1 << 20);
		h = parse();
		assert_int_equal(h.stdout_len, BODY_LEN);
		assert_int_equal(h.n_fill, 0);
		assert_int_equal(h.n_ends, 1);
		assert_int_equal(h.n_stdout_ends, 1);
	}
}

static void
replies_go_between_records(void **state)
{
	struct heard h;
	int i;

	(void)state;
	fx.answer_len = BODY_LEN;
	dial(2048);
	tell(get, sizeof(get) - 1);
	turn_until_requests(1);
	for (i = 0; i < 5; i++) {
		tell(get_values, sizeof(get_values) - 1);
		turn();
		hear(5000);
	}
	hear_all(5000);
	h = parse();
	assert_int_equal(h.n_values, 5);
	assert_int_equal(h.stdout_len, BODY_LEN);
	assert_int_equal(h.n_ends, 1);
}

/* Two requests, replies among them, and a kernel that takes cap bytes at a time. */
static void
exchange(size_t cap)
{
	send_cap = cap;
	fx.n_requests = 0;
	dial(0);
	tell(get_values, sizeof(get_values) - 1);
	tell(get_keep, sizeof(get_keep) - 1);
	turn_until_requests(1);
	tell(get_values, sizeof(get_values) - 1);
	while (fx.n_out < 2 * 32 + 80) { /* both replies and the first response */
		assert_true(hear(1000));
		turn();
	}
	tell(get, sizeof(get) - 1);
	hear_all(1000);
	send_cap = 0;
}

static void
every_split_of_a_response(void **state)
{
	struct heard h;
	size_t cap;

	(void)state;
	fx.answer_len = 43;
	for (cap = 0; cap <= 200; cap++) {
		exchange(cap);
		assert_int_equal(fx.n_out, 2 * (8 + 18 + 6) + 2 * (8 + 43 + 5 + 24));
		h = parse(); /* a reply may stand before or behind the end of a response */
		assert_int_equal(h.n_values, 2);
		assert_int_equal(h.stdout_len, 43 * 2);
		assert_int_equal(h.n_stdout_ends, 2);
		assert_int_equal(h.n_ends, 2);
	}
}

/*
 * A slow client was moved forward in its log, so the record at hand is filled up. What a record
 * promised and does not have becomes lines that say nothing, each of them whole: the last may end
 * in a record of its own.
 */
static void
check_filler(size_t left, size_t behind)
{
	struct heard h;
	int i;

	fx.answer_len = BODY_LEN;
	dial(2048);
	tell(get, sizeof(get) - 1);
	turn_until_requests(1);
	assert_true(fx.sub->own.len > 300000); /* it is in the middle of one */
	buf_truncate(&fx.sub->own, left);
	fx.sub->state = SUBSCRIBER_REPLAYING; /* there may be more */
	for (i = 0; i < TURNS_MAX && (fx.sub->own.len > 0 || i < 500); i++) {
		assert_true(hear(3000));
		turn();
	}
	fx.sub->state = SUBSCRIBER_LAST;
	subscriber_unblocked(fx.sub);
	hear_all(3000);
	h = parse();
	assert_true(h.n_fill > 0);
	assert_int_equal(h.n_fill % 2, 0);
	assert_int_equal(h.n_ends, 1);
	assert_int_equal((h.stdout_len + h.n_fill) % RECORD_CONTENT_MAX, behind);
}

static void
a_record_is_sent_to_its_end(void **state)
{
	(void)state;
	check_filler(6, 0);
}

static void
a_record_is_sent_to_its_end_and_a_line_behind_it(void **state)
{
	(void)state;
	check_filler(5, 1);
}

static void
a_connection_is_kept(void **state)
{
	struct heard h;
	unsigned i;

	(void)state;
	fx.answer_len = 9;
	dial(0);
	for (i = 1; i <= 5; i++) {
		tell(get_keep, sizeof(get_keep) - 1);
		turn_until_requests(i);
		fx.n_out = 0;
		assert_true(hear(1000));
		h = parse();
		assert_int_equal(h.stdout_len, 9);
		assert_int_equal(h.n_ends, 1);
	}
	fx.n_out = 0;
	tell(get_keep, sizeof(get_keep) - 1); /* two at once */
	tell(get, sizeof(get) - 1);
	hear_all(1000);
	assert_int_equal(fx.n_requests, 7);
	assert_int_equal(fx.n_out, 2 * (8 + 9 + 7 + 24));
}

static void
a_kept_connection_is_closed_by_the_drain(void **state)
{
	(void)state;
	fx.answer_len = 9;
	dial(0);
	tell(get_keep, sizeof(get_keep) - 1);
	turn_until_requests(1);
	assert_int_equal(server_n_connections(fx.server), 1);
	server_stop_accepting(fx.server);
	assert_int_equal(server_n_connections(fx.server), 0);
	hear_all(1000);
	assert_int_equal(parse().n_ends, 1);
}

static void
an_answer_that_comes_later(void **state)
{
	(void)state;
	dial(0);
	tell(get, sizeof(get) - 1);
	turn_until_requests(1);
	turn();
	hear(100);
	assert_int_equal(fx.n_out, 0);
	fx.answer_len = 3;
	answer_with(fx.sub, "abc", 3);
	assert_int_equal(fx.sub->ops->send(fx.sub), SEND_GONE);
	hear_all(100);
	assert_int_equal(parse().stdout_len, 3);
}

static void
abort_ends_it_once(void **state)
{
	static const char twice[] = "\1\2\0\1\0\0\0\0\1\2\0\1\0\0\0\0";
	struct heard h;

	(void)state;
	dial(0);
	tell(get, sizeof(get) - 1);
	turn_until_requests(1);
	tell(twice, sizeof(twice) - 1);
	hear_all(100);
	h = parse();
	assert_int_equal(h.n_ends, 1);
	assert_int_equal(h.n_stdout_ends, 1);
}

/* A web server that closes its half, as lighttpd does, wants to read an end. */
static void
a_closed_half_ends_it(void **state)
{
	(void)state;
	dial(0);
	tell(get, sizeof(get) - 1);
	turn_until_requests(1);
	assert_int_equal(shutdown(fx.fd, SHUT_WR), 0);
	hear_all(100);
	assert_int_equal(parse().n_ends, 1);
	assert_int_equal(server_n_connections(fx.server), 0);
}

/* The peer goes after it has read so many bytes of a long answer. */
static void
a_peer_that_goes(void **state)
{
	size_t n;
	int i;

	(void)state;
	fx.answer_len = 100000;
	for (n = 1; n < 60; n++) {
		dial(2048);
		tell(get, sizeof(get) - 1);
		turn_until_requests((unsigned)n);
		assert_true(hear(n));
		close(fx.fd);
		fx.fd = -1;
		for (i = 0; server_n_connections(fx.server) > 0; i++) {
			assert_true(i < TURNS_MAX);
			turn();
		}
	}
}

static void
a_peer_that_goes_before_its_request_is_whole(void **state)
{
	size_t n;
	int i;

	(void)state;
	for (n = 0; n < sizeof(get) - 1; n++) {
		dial(0);
		if (n > 0)
			tell(get, n);
		turn();
		close(fx.fd);
		fx.fd = -1;
		for (i = 0; i < 3; i++)
			turn();
		assert_int_equal(server_n_connections(fx.server), 0);
	}
	assert_int_equal(fx.n_requests, 0);
}

/* What has its answer at once has it all the same. */
static void
a_connection_that_cannot_be_waited_for(void **state)
{
	(void)state;
	is_poller_full = true;
	dial(0);
	tell(get, sizeof(get) - 1);
	hear_all(1000);
	assert_int_equal(fx.n_out, 0);
	fx.answer_len = 13;
	dial(0);
	tell(get, sizeof(get) - 1);
	hear_all(1000);
	assert_int_equal(parse().stdout_len, 13);
	assert_int_equal(server_n_connections(fx.server), 0);
	is_poller_full = false;
	dial(0);
	turn();
	tell(get, sizeof(get) - 1);
	hear_all(1000);
	assert_int_equal(parse().stdout_len, 13);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_short_answer_is_one_read, begin, end),
	    cmocka_unit_test_setup_teardown(a_request_byte_by_byte, begin, end),
	    cmocka_unit_test_setup_teardown(a_long_answer_in_pieces, begin, end),
	    cmocka_unit_test_setup_teardown(replies_go_between_records, begin, end),
	    cmocka_unit_test_setup_teardown(every_split_of_a_response, begin, end),
	    cmocka_unit_test_setup_teardown(a_record_is_sent_to_its_end, begin, end),
	    cmocka_unit_test_setup_teardown(a_record_is_sent_to_its_end_and_a_line_behind_it, begin,
					    end),
	    cmocka_unit_test_setup_teardown(a_connection_is_kept, begin, end),
	    cmocka_unit_test_setup_teardown(a_kept_connection_is_closed_by_the_drain, begin, end),
	    cmocka_unit_test_setup_teardown(an_answer_that_comes_later, begin, end),
	    cmocka_unit_test_setup_teardown(abort_ends_it_once, begin, end),
	    cmocka_unit_test_setup_teardown(a_closed_half_ends_it, begin, end),
	    cmocka_unit_test_setup_teardown(a_peer_that_goes, begin, end),
	    cmocka_unit_test_setup_teardown(a_connection_that_cannot_be_waited_for, begin, end),
	    cmocka_unit_test_setup_teardown(a_peer_that_goes_before_its_request_is_whole, begin,
					    end),
	};

	if (counters_open(1) < 0)
		return 1;
	counters_use(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
