/*
 * test_link_addresses.c - a link whose server's name has several addresses; which those are is only
 * pretended.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include "fake_redis.h"
#include "redis/addresses.h"

static struct address first, second;
static bool is_up;

/* redis/addresses.h */

void
addresses_find(struct addresses *as, uv_loop_t *of, const struct redis_url *url,
	       addresses_fn on_found, void *arg)
{
	(void)of;
	(void)url;
	as->all[0] = first;
	as->all[1] = second;
	as->n = 2;
	on_found(arg, NULL);
}

void
addresses_forget(struct addresses *as)
{
	(void)as;
}

static void
on_up(void *ctx)
{
	(void)ctx;
	is_up = true;
}

static void
on_down(void *ctx, const char *why)
{
	(void)ctx;
	(void)why;
}

static void
on_reply(void *ctx, const redisReply *reply)
{
	(void)ctx;
	(void)reply;
}

static void
on_quiet(void *ctx)
{
	(void)ctx;
}

static const struct link_ops ops = {
    .on_up = on_up, .on_down = on_down, .on_reply = on_reply, .on_quiet = on_quiet};

/* The kernel takes connections there, but nobody answers. */
static int
listen_silently(void)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&first.at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	first.len = sizeof(*sin);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)sin, first.len) == 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sin, &first.len), 0);
	return fd;
}

static void
the_next_address_is_tried_if_the_first_is_silent(void **state)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&second.at;
	struct link *link;
	int fd;

	(void)state;
	fake_start();
	fd = listen_silently();
	sun->sun_family = AF_UNIX;
	snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", redis.path);
	second.len = sizeof(*sun);
	add_url("redis://two.test:1");
	settings.connect_timeout_ms = 500;
	assert_int_equal(link_new(&link, &loop, "test", servers(), &ops, NULL), 0);
	RUN_UNTIL(is_up);
	link_free(link);
	close(fd);
	fake_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_next_address_is_tried_if_the_first_is_silent),
	};

	return cmocka_run_group_tests_name("link_addresses", tests, fake_prepare, fake_clean);
}
