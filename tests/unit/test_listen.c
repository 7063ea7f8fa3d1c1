/*
 * test_listen.c - the listening socket: where it may be made, with what mode, and what is told
 * where it may not.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fcgi/listen.h"

static char dir[] = "/tmp/test_listen.XXXXXX";
static char path[64], address[80], why[512];

static int
open_at(struct listener *l, const char *where, mode_t mode)
{
	struct listen_settings ls = {.address = where, .mode = mode};

	why[0] = '\0';
	return listen_open(l, &ls, why, sizeof(why));
}

static int
connect_to(const char *where)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), rc;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", where);
	rc = connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* One line, that names the address. */
static void
check_why(const char *name, const char *part)
{
	if (strstr(why, part) == NULL || strchr(why, '\n') != NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", name, why, part);
}

static void
mode_is_as_configured_whatever_the_umask(void **state)
{
	static const mode_t modes[] = {0660, 0600, 0666, 0777, 0};
	static const mode_t masks[] = {000, 022, 077, 0777};
	struct listener l;
	struct stat st;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		for (k = 0; k < sizeof(masks) / sizeof(masks[0]); k++) {
			mode_t old = umask(masks[k]);
			int rc = open_at(&l, address, modes[i]);

			assert_int_equal(umask(old), masks[k]); /* left as it was */
			assert_int_equal(rc, 0);
			assert_int_equal(stat(path, &st), 0);
			assert_true(S_ISSOCK(st.st_mode));
			assert_int_equal(st.st_mode & 0777, modes[i]);
			listen_close(&l);
			assert_int_equal(access(path, F_OK), -1);
		}
	}
}

static void
the_socket_listens_and_is_ours_alone(void **state)
{
	struct listener l;

	(void)state;
	assert_int_equal(open_at(&l, address, 0600), 0);
	assert_true((fcntl(l.fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(l.fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(connect_to(path), 0);
	listen_close(&l);
	listen_close(&l); /* nothing is left to be done */
}

/* Who has connected is still there to be accepted; what another holds stays open. */
static void
nobody_connects_any_more(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int before = socket(AF_UNIX, SOCK_STREAM, 0), accepted;
	struct listener l, inherited;

	(void)state;
	assert_int_equal(open_at(&l, address, 0660), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(before, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	inherited = (struct listener){.fd = l.fd, .origin = LISTEN_SYSTEMD};
	listen_refuse(&inherited);
	assert_int_equal(connect_to(path), 0);
	listen_refuse(&l);
	assert_int_equal(connect_to(path), -ECONNREFUSED);
	for (int i = 0; i < 2; i++) {
		assert_true((accepted = accept(l.fd, NULL, NULL)) >= 0);
		close(accepted);
	}
	assert_int_equal(accept(l.fd, NULL, NULL), -1);
	close(before);
	listen_close(&l);
}

static void
owner_is_set(void **state)
{
	struct listen_settings ls = {
	    .address = address, .mode = 0660, .user = "65534", .group = "65533"};
	struct listener l;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(listen_open(&l, &ls, why, sizeof(why)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 65534);
	assert_int_equal(st.st_gid, 65533);
	assert_int_equal(st.st_mode & 0777, 0660);
	listen_close(&l);
}

static void
unknown_owner_is_refused(void **state)
{
	struct listen_settings ls = {.address = address, .mode = 0660, .user = "no-such-user"};
	struct listener l;

	(void)state;
	assert_int_equal(listen_open(&l, &ls, why, sizeof(why)), -EINVAL);
	check_why("user", "socket_user: there is no user no-such-user");
	ls.user = NULL;
	ls.group = "no-such-group";
	assert_int_equal(listen_open(&l, &ls, why, sizeof(why)), -EINVAL);
	check_why("group", "socket_group: there is no group no-such-group");
	assert_int_equal(access(path, F_OK), -1);
}

static void
a_live_socket_is_left_alone(void **state)
{
	struct listener first, second;

	(void)state;
	assert_int_equal(open_at(&first, address, 0600), 0);
	assert_int_equal(open_at(&second, address, 0600), -EADDRINUSE);
	check_why("in use", "already in use");
	check_why("in use", path);
	assert_int_equal(connect_to(path), 0);
	listen_close(&first);
}

static void
a_stale_socket_is_replaced(void **state)
{
	struct listener first, second;

	(void)state;
	assert_int_equal(open_at(&first, address, 0600), 0);
	close(first.fd); /* as when the process was killed */
	assert_int_equal(connect_to(path), -ECONNREFUSED);
	assert_int_equal(open_at(&second, address, 0600), 0);
	assert_int_equal(connect_to(path), 0);
	listen_close(&second);
	listen_forget(&first);
}

static void
what_is_no_socket_is_left_alone(void **state)
{
	struct listener l;
	struct stat st;
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	assert_int_equal(open_at(&l, address, 0600), -EEXIST);
	check_why("a file", "no socket");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	unlink(path);
	assert_int_equal(symlink("/nowhere", path), 0); /* not followed */
	assert_int_equal(open_at(&l, address, 0600), -EEXIST);
	unlink(path);
}

static void
long_paths(void **state)
{
	char where[200];
	struct listener l;
	int room = 107 - (int)strlen(dir) - 1;

	(void)state;
	snprintf(where, sizeof(where), "unix:%s/%0*d", dir, room, 0);
	assert_int_equal(strlen(where), 5 + 107);
	assert_int_equal(open_at(&l, where, 0600), 0);
	listen_close(&l);
	snprintf(where, sizeof(where), "unix:%s/%0*d", dir, room + 1, 0);
	assert_int_equal(open_at(&l, where, 0600), -ENAMETOOLONG);
	check_why("108 bytes", "107 bytes");
}

static void
bad_addresses(void **state)
{
	static const struct {
		const char *address;
		int rc;
		const char *why;
	} cases[] = {
	    {"", -EINVAL, "is no address"},
	    {"9000", -EINVAL, "is no address"},
	    {":9000", -EINVAL, "is no address"},
	    {"/run/x.sock", -EINVAL, "unix:PATH"},
	    {"unix:", -EINVAL, "wants the path"},
	    {"unix:/nonexistent/x.sock", -ENOENT, "No such file"},
	    {"unix:/dev/null/x.sock", -ENOTDIR, "Not a directory"},
	    {"127.0.0.1:0", -ERANGE, "from 1 to 65535"},
	    {"127.0.0.1:70000", -ERANGE, "from 1 to 65535"},
	    {"127.0.0.1:99999999999999999999", -ERANGE, "from 1 to 65535"},
	    {"127.0.0.1:-1", -ERANGE, "from 1 to 65535"},
	    {"127.0.0.1:", -ERANGE, "from 1 to 65535"},
	    {"127.0.0.1:9x", -ERANGE, "from 1 to 65535"},
	    {"127.0.0.1: 9", -ERANGE, "from 1 to 65535"},
	    {"example.org:9000", -EINVAL, "literal address or localhost"},
	    {"127.1:9000", -EINVAL, "literal address or localhost"},
	    {"[::1:9000", -EINVAL, "literal address or localhost"},
	    {"[]:9000", -EINVAL, "literal address or localhost"},
	};
	struct listener l;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rc = open_at(&l, cases[i].address, 0600);
		if (rc != cases[i].rc)
			fail_msg("%s: wanted %d, got %d", cases[i].address, cases[i].rc, rc);
		check_why(cases[i].address, cases[i].why);
	}
}

/* A port that was free a moment ago, of the family of the wildcard-free address. */
static unsigned
free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static void
tcp(void **state)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	struct listener first, second;
	char where[64];
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		snprintf(where, sizeof(where), "%s:%u", hosts[i], free_port());
		assert_int_equal(open_at(&first, where, 0), 0);
		assert_null(first.unlink_path);
		assert_int_equal(open_at(&second, where, 0), -EADDRINUSE);
		check_why(where, "already in use");
		check_why(where, where);
		listen_close(&first);
	}
}

static void
tcp_over_ipv6(void **state)
{
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);
	struct listener l;
	char where[64];
	int rc;

	(void)state;
	snprintf(where, sizeof(where), "[::1]:%u", free_port());
	rc = open_at(&l, where, 0);
	if (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT)
		skip(); /* no IPv6 here */
	assert_int_equal(rc, 0);
	assert_int_equal(getsockname(l.fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(sa.sin6_family, AF_INET6);
	listen_close(&l);
}

/* Descriptor 0 is put in place, and back, by the caller. */
static void
inherited_as_descriptor_0(void **state)
{
	struct listener l, got;
	int old = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(open_at(&l, address, 0600), 0);
	assert_int_equal(fcntl(l.fd, F_SETFL, fcntl(l.fd, F_GETFL) & ~O_NONBLOCK), 0);
	assert_int_equal(dup2(l.fd, STDIN_FILENO), STDIN_FILENO);
	assert_true(listen_is_inherited());
	assert_int_equal(open_at(&got, NULL, 0), 0);
	assert_int_equal(got.fd, STDIN_FILENO);
	assert_null(got.unlink_path);
	assert_true((fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK) != 0);
	listen_close(&got);
	dup2(old, STDIN_FILENO);
	close(old);
	listen_close(&l);
}

static void
nothing_to_inherit(void **state)
{
	int old = dup(STDIN_FILENO), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct listener l;

	(void)state;
	dup2(null, STDIN_FILENO);
	assert_false(listen_is_inherited());
	assert_int_equal(open_at(&l, "inherit", 0), -ENOTSOCK);
	check_why("nothing", "no address to listen on");
	dup2(old, STDIN_FILENO);
	close(old);
	close(null);
}

/* Runs with descriptor 3 being a listening socket. */
static void
inherited_from_systemd(void **state)
{
	static const struct {
		const char *pid, *fds;
		int rc;
	} cases[] = {
	    {"self", "1", 0},      {"self", "2", -EINVAL}, {"self", "0", -ENOTSOCK},
	    {"1", "1", -ENOTSOCK}, {NULL, "1", -ENOTSOCK}, {"self", NULL, -ENOTSOCK},
	    {"", "1", -ENOTSOCK},  {"0", "1", -ENOTSOCK},
	};
	char self[24];
	struct listener l, got;
	int old = dup(3), zero = dup(STDIN_FILENO), null = open("/dev/null", O_RDWR | O_CLOEXEC),
	    rc;
	size_t i;

	(void)state;
	dup2(null, STDIN_FILENO);
	snprintf(self, sizeof(self), "%ld", (long)getpid());
	assert_int_equal(open_at(&l, address, 0600), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *pid = cases[i].pid;

		unsetenv("LISTEN_PID");
		unsetenv("LISTEN_FDS");
		if (pid != NULL)
			setenv("LISTEN_PID", strcmp(pid, "self") == 0 ? self : pid, 1);
		if (cases[i].fds != NULL)
			setenv("LISTEN_FDS", cases[i].fds, 1);
		if (l.fd != 3)
			assert_int_equal(dup2(l.fd, 3), 3);
		rc = open_at(&got, NULL, 0);
		if (rc != cases[i].rc)
			fail_msg("LISTEN_PID=%s LISTEN_FDS=%s: wanted %d, got %d (%s)", pid,
				 cases[i].fds, cases[i].rc, rc, why);
		if (rc == 0)
			assert_int_equal(got.fd, 3);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	listen_close(&l);
	if (old >= 0)
		dup2(old, 3);
	else
		close(3);
	close(old);
	dup2(zero, STDIN_FILENO);
	close(zero);
	close(null);
}

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/s.sock", dir);
	snprintf(address, sizeof(address), "unix:%s", path);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	return rmdir(dir); /* fails if a test has left something behind */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mode_is_as_configured_whatever_the_umask),
	    cmocka_unit_test(the_socket_listens_and_is_ours_alone),
	    cmocka_unit_test(nobody_connects_any_more),
	    cmocka_unit_test(owner_is_set),
	    cmocka_unit_test(unknown_owner_is_refused),
	    cmocka_unit_test(a_live_socket_is_left_alone),
	    cmocka_unit_test(a_stale_socket_is_replaced),
	    cmocka_unit_test(what_is_no_socket_is_left_alone),
	    cmocka_unit_test(long_paths),
	    cmocka_unit_test(bad_addresses),
	    cmocka_unit_test(tcp),
	    cmocka_unit_test(tcp_over_ipv6),
	    cmocka_unit_test(inherited_as_descriptor_0),
	    cmocka_unit_test(nothing_to_inherit),
	    cmocka_unit_test(inherited_from_systemd),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
