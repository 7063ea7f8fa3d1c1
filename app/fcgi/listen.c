#include "fcgi/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "fcgi/pairs.h"
#include "fcgi/record.h"

enum {
	SYSTEMD_FD = 3,
	/* after how long a socket that is in use counts as another program's for good */
	TAKE_OVER_MS = 1000,
	LOOK_AGAIN_MS = 20,
	ANSWER_MS = 200,
};

/*
 * Set by a Sluice that executes itself anew: DEVICE:INODE:PATH of the socket to remove at the end.
 */
static const char handed_path[] = "SLUICE_SOCKET";

/* Writes the line for the operator, and returns rc. */
__attribute__((format(printf, 4, 5))) static int
fault(char *why, size_t why_len, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return rc;
}

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0;
}

/* The value of LISTEN_FDS (sd_listen_fds(3)), if it is meant for this process; else NULL. */
static const char *
systemd_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	char self[24];

	if (pid == NULL || fds == NULL)
		return NULL;
	snprintf(self, sizeof(self), "%ld", (long)getpid());
	if (strcmp(pid, self) != 0 || strcmp(fds, "0") == 0 || !is_listening(SYSTEMD_FD))
		return NULL;
	return fds;
}

bool
listen_is_inherited(void)
{
	return is_listening(STDIN_FILENO) || systemd_sockets() != NULL;
}

static int
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static int
inherit(struct listener *out, char *why, size_t why_len)
{
	const char *fds = systemd_sockets();
	int rc;

	if (getenv(handed_path) == NULL && is_listening(STDIN_FILENO)) {
		out->fd = STDIN_FILENO;
		out->origin = LISTEN_WEB_SERVER;
	} else if (fds == NULL)
		return fault(why, why_len, -ENOTSOCK,
			     "no address to listen on, and neither descriptor 0 nor LISTEN_FDS is "
			     "a listening socket");
	else if (strcmp(fds, "1") != 0)
		return fault(why, why_len, -EINVAL,
			     "LISTEN_FDS is %s: one socket is taken, not more", fds);
	else {
		out->fd = SYSTEMD_FD;
		out->origin = LISTEN_SYSTEMD;
	}
	if ((rc = set_flags(out->fd)) < 0)
		return fault(why, why_len, rc, "inherited descriptor %d: %s", out->fd,
			     strerror(-rc));
	return 0;
}

enum owner {
	OWNER_NONE,   /* no such socket, or nobody answers */
	OWNER_LEAVES, /* a Sluice that drains */
	OWNER_STAYS,
	OWNER_UNSURE /* it accepted the connection and closed it without an answer */
};

/*
 * Asks with FCGI_GET_VALUES: a Sluice says there whether it drains, besides what the standard has.
 */
static enum owner
ask_owner(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	struct buf question;
	FCGI_Header head;
	char answer[256];
	ssize_t n = -1;

	buf_init(&question, sizeof(answer));
	record_head(&head, FCGI_GET_VALUES, FCGI_NULL_REQUEST_ID, 2 + sizeof(RECORD_STATE) - 1);
	if (buf_put(&question, &head, sizeof(head)) == 0 &&
	    pairs_put(&question, RECORD_STATE, sizeof(RECORD_STATE) - 1, "", 0) == 0 &&
	    buf_put(&question, "\0\0\0\0\0\0\0", head.paddingLength) == 0)
		n = send(fd, question.p, question.len, MSG_NOSIGNAL);
	buf_fini(&question);
	if (n < 0)
		return OWNER_UNSURE;
	if (poll(&pfd, 1, ANSWER_MS) != 1)
		return OWNER_STAYS;
	if ((n = recv(fd, answer, sizeof(answer), 0)) <= 0)
		return OWNER_UNSURE;
	return memmem(answer, (size_t)n, RECORD_LEAVES, sizeof(RECORD_LEAVES) - 1) != NULL
		   ? OWNER_LEAVES
		   : OWNER_STAYS;
}

/* Returns 0, or a negative errno. */
static int
connect_to(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	socklen_t error_len = sizeof(int);
	int error = 0;

	if (connect(fd, sa, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&pfd, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 ? -errno : -error;
}

static enum owner
find_owner_of(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
	enum owner owner;

	if (fd < 0)
		return OWNER_STAYS; /* if we cannot look, we must not take it away */
	rc = connect_to(fd, sa, len);
	if (rc == 0)
		owner = ask_owner(fd);
	else if (rc == -ECONNREFUSED || rc == -ENOENT)
		owner = OWNER_NONE;
	else
		owner = OWNER_STAYS; /* EAGAIN means a full backlog; EACCES and the like, that it is
					another's */
	close(fd);
	return owner;
}

/*
 * A socket that is in use is looked at again for a while: the workers of a supervisor that was
 * killed live on for a moment, and one that was told to end may not have noticed yet. Returns
 * OWNER_NONE or OWNER_LEAVES; anything else means that it stays another's.
 */
static enum owner
await_leaving(const struct sockaddr *sa, socklen_t len)
{
	uint64_t until = clock_ms() + TAKE_OVER_MS;
	enum owner owner;

	while ((owner = find_owner_of(sa, len)) == OWNER_STAYS || owner == OWNER_UNSURE) {
		if (clock_ms() >= until)
			return OWNER_STAYS;
		poll(NULL, 0, LOOK_AGAIN_MS);
	}
	return owner;
}

/* May the path be taken? */
static int
check_path(const struct sockaddr_un *sa, char *why, size_t why_len)
{
	const char *path = sa->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return fault(why, why_len, -errno, "unix:%s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode))
		return fault(why, why_len, -EEXIST,
			     "unix:%s: there is a file of that name, and it is no socket", path);
	if (await_leaving((const struct sockaddr *)sa, sizeof(*sa)) == OWNER_STAYS)
		return fault(why, why_len, -EADDRINUSE, "unix:%s: already in use", path);
	return 0;
}

static int
parse_id(const char *text, unsigned *out)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || n >= UINT32_MAX)
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

/* Looks up the names or numbers; (uid_t)-1 means no change. */
static int
find_owner(uid_t *uid, gid_t *gid, const struct listen_settings *ls, char *why, size_t why_len)
{
	const struct passwd *pw;
	const struct group *gr;

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (ls->user != NULL && parse_id(ls->user, uid) < 0) {
		/* cppcheck-suppress getpwnamCalled ; there is one thread yet */
		if ((pw = getpwnam(ls->user)) == NULL)
			return fault(why, why_len, -EINVAL, "socket_user: there is no user %s",
				     ls->user);
		*uid = pw->pw_uid;
	}
	if (ls->group != NULL && parse_id(ls->group, gid) < 0) {
		/* cppcheck-suppress getgrnamCalled */
		if ((gr = getgrnam(ls->group)) == NULL)
			return fault(why, why_len, -EINVAL, "socket_group: there is no group %s",
				     ls->group);
		*gid = gr->gr_gid;
	}
	return 0;
}

/*
 * The socket never has more than the wanted mode. If another user is to own it, nobody but us can
 * use it before: chown comes before chmod.
 */
static int
bind_unix(int fd, const struct sockaddr_un *sa, const struct listen_settings *ls, uid_t uid,
	  gid_t gid)
{
	mode_t mode = ls->mode & 0777;
	bool has_owner = uid != (uid_t)-1 || gid != (gid_t)-1;
	mode_t old = umask(has_owner ? 0777 : ~mode & 0777);
	int rc = bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;

	umask(old);
	if (rc < 0)
		return rc;
	if ((has_owner && lchown(sa->sun_path, uid, gid) < 0) || chmod(sa->sun_path, mode) < 0) {
		rc = -errno;
		unlink(sa->sun_path);
	}
	return rc;
}

static int
start_listening(struct listener *out, int fd)
{
	/* The kernel reduces it to net.core.somaxconn. */
	if (listen(fd, INT32_MAX) < 0)
		return -errno;
	out->fd = fd;
	return 0;
}

/* A temporary name beside the path; the path itself, if the name would be too long. */
static void
name_beside(struct sockaddr_un *out, const struct sockaddr_un *sa)
{
	const char *slash = strrchr(sa->sun_path, '/');
	int dir = slash != NULL ? (int)(slash + 1 - sa->sun_path) : 0;
	char name[sizeof(sa->sun_path) + 32];
	int len = snprintf(name, sizeof(name), "%.*s.s%ld", dir, sa->sun_path, (long)getpid());

	*out = *sa;
	if (len > 0 && (size_t)len < sizeof(out->sun_path))
		memcpy(out->sun_path, name, (size_t)len + 1);
}

/*
 * The socket is bound and listens under a temporary name, and is then renamed. It replaces an old
 * one in a single step, so there is no moment without a socket to connect to.
 */
static int
bind_and_listen(struct listener *out, int fd, const struct sockaddr_un *sa,
		const struct listen_settings *ls, uid_t uid, gid_t gid)
{
	struct sockaddr_un beside;
	struct stat st = {0};
	int rc;

	name_beside(&beside, sa);
	if (unlink(beside.sun_path) < 0 && errno != ENOENT)
		return -errno;
	if ((rc = bind_unix(fd, &beside, ls, uid, gid)) < 0)
		return rc;
	if ((rc = start_listening(out, fd)) == 0 &&
	    (lstat(beside.sun_path, &st) < 0 || rename(beside.sun_path, sa->sun_path) < 0))
		rc = -errno;
	if (rc < 0) {
		unlink(beside.sun_path);
		return rc;
	}
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return 0;
}

static int
read_unix(struct sockaddr_un *out, const char *path, char *why, size_t why_len)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if (*path == '\0')
		return fault(why, why_len, -EINVAL, "unix: wants the path of a socket behind it");
	if (*path == '@')
		return fault(why, why_len, -EINVAL,
			     "unix:%.40s: an abstract socket has no mode and no owner, and web "
			     "servers cannot connect to one; name a path",
			     path);
	if (strlen(path) >= sizeof(out->sun_path))
		return fault(why, why_len, -ENAMETOOLONG,
			     "unix:%.40s...: the path is longer than the %zu bytes that a socket's "
			     "can have",
			     path, sizeof(out->sun_path) - 1);
	memcpy(out->sun_path, path, strlen(path) + 1);
	return 0;
}

static int
open_unix(struct listener *out, const struct listen_settings *ls, const char *path, char *why,
	  size_t why_len)
{
	struct sockaddr_un sa;
	uid_t uid;
	gid_t gid;
	int rc, fd;

	if ((rc = read_unix(&sa, path, why, why_len)) < 0 ||
	    (rc = find_owner(&uid, &gid, ls, why, why_len)) < 0 ||
	    (rc = check_path(&sa, why, why_len)) < 0)
		return rc;
	if ((out->unlink_path = strdup(path)) == NULL)
		return fault(why, why_len, -ENOMEM, "unix:%s: out of memory", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = fd < 0 ? -errno : bind_and_listen(out, fd, &sa, ls, uid, gid);
	if (rc == 0)
		return 0;
	if (fd >= 0)
		close(fd);
	out->fd = -1;
	listen_forget(out);
	return fault(why, why_len, rc, "unix:%s: %s", path, strerror(-rc));
}

union listen_address {
	struct sockaddr sa;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* "127.0.0.1:9000", "localhost:9000", "[::1]:9000". */
static int
parse_tcp(union listen_address *out, socklen_t *len, const char *text, char *why, size_t why_len)
{
	char host[64];
	bool is_bracketed;
	uint16_t port;
	int rc = address_split(text, host, sizeof(host), &is_bracketed, &port);

	if (rc == -EINVAL)
		return fault(why, why_len, rc,
			     "\"%s\" is no address: unix:PATH, HOST:PORT or inherit", text);
	if (rc < 0)
		return fault(why, why_len, rc, "%s: the port must be from 1 to 65535", text);
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET6, host, &out->six.sin6_addr) == 1) {
		out->six.sin6_family = AF_INET6;
		out->six.sin6_port = htons(port);
		*len = sizeof(out->six);
		return 0;
	}
	if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
		      &out->four.sin_addr) != 1)
		return fault(why, why_len, -EINVAL,
			     "%s: the host must be a literal address or localhost", host);
	out->four.sin_family = AF_INET;
	out->four.sin_port = htons(port);
	*len = sizeof(out->four);
	return 0;
}

static int
set_option(int fd, int option)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

/*
 * Shares an address only with a Sluice that drains. Ours can be shared in the same way, but is
 * marked so only after it is bound: otherwise two programs that both serve would not notice each
 * other.
 */
static int
bind_tcp(int fd, const struct sockaddr *sa, socklen_t len)
{
	int rc = set_option(fd, SO_REUSEADDR);

	if (rc == 0 && bind(fd, sa, len) < 0)
		rc = -errno;
	if (rc == -EADDRINUSE && await_leaving(sa, len) != OWNER_STAYS &&
	    (rc = set_option(fd, SO_REUSEPORT)) == 0 && bind(fd, sa, len) < 0)
		rc = -errno;
	return rc < 0 ? rc : set_option(fd, SO_REUSEPORT);
}

/*
 * The kernel would give each of two sockets with one address every other connection. This program
 * gives them all to the second socket, which is ours while another program drains; if ours is
 * alone, it gets all. If the kernel does not accept the program, the one that drains tells its
 * clients to come back.
 */
static void
take_what_comes(int fd)
{
	struct sock_filter second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	const struct sock_fprog program = {.len = 1, .filter = second};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
}

static int
open_tcp(struct listener *out, const char *text, char *why, size_t why_len)
{
	union listen_address addr = {.six = {.sin6_family = AF_UNSPEC}};
	socklen_t len = 0;
	int fd, rc;

	if ((rc = parse_tcp(&addr, &len, text, why, why_len)) < 0)
		return rc;
	fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fault(why, why_len, -errno, "%s: %s", text, strerror(errno));
	if ((rc = bind_tcp(fd, &addr.sa, len)) == 0 && (rc = start_listening(out, fd)) == 0) {
		take_what_comes(fd);
		return 0;
	}
	close(fd);
	if (rc == -EADDRINUSE)
		return fault(why, why_len, rc, "%s: already in use", text);
	return fault(why, why_len, rc, "%s: %s", text, strerror(-rc));
}

/* Takes over the path that the program which executed us has left to be removed. */
static int
take_handed(struct listener *out, const char *text)
{
	unsigned long long dev, ino;
	int at = 0;

	/* NOLINTNEXTLINE(cert-err34-c): what we wrote ourselves */
	if (sscanf(text, "%llu:%llu:%n", &dev, &ino, &at) < 2 || at == 0 || text[at] == '\0')
		return 0; /* the socket has no path of ours */
	out->origin = LISTEN_OWN;
	out->dev = (dev_t)dev;
	out->ino = (ino_t)ino;
	out->unlink_path = strdup(text + at);
	return out->unlink_path != NULL ? 0 : -ENOMEM;
}

int
listen_open(struct listener *out, const struct listen_settings *ls, char *why, size_t why_len)
{
	const char *handed = getenv(handed_path);
	int rc;

	*out = (struct listener){.fd = -1};
	if (handed != NULL) {
		if ((rc = inherit(out, why, why_len)) == 0)
			rc = take_handed(out, handed);
		unsetenv(handed_path);
		return rc;
	}
	if (ls->address == NULL || strcmp(ls->address, "inherit") == 0)
		return inherit(out, why, why_len);
	if (strncmp(ls->address, "unix:", 5) == 0)
		return open_unix(out, ls, ls->address + 5, why, why_len);
	return open_tcp(out, ls->address, why, why_len);
}

int
listen_hand_over(const struct listener *l)
{
	char pid[24], text[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 64] = "0:0:";

	if (l->fd == SYSTEMD_FD ? fcntl(SYSTEMD_FD, F_SETFD, 0) < 0 : dup2(l->fd, SYSTEMD_FD) < 0)
		return -errno;
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	if (l->unlink_path != NULL)
		snprintf(text, sizeof(text), "%llu:%llu:%s", (unsigned long long)l->dev,
			 (unsigned long long)l->ino, l->unlink_path);
	if (setenv("LISTEN_FDS", "1", 1) < 0 || setenv("LISTEN_PID", pid, 1) < 0 ||
	    setenv(handed_path, text, 1) < 0)
		return -errno;
	return 0;
}

void
listen_refuse(const struct listener *l)
{
	if (l->unlink_path != NULL)
		shutdown(l->fd, SHUT_RD);
}

void
listen_forget(struct listener *l)
{
	free(l->unlink_path);
	l->unlink_path = NULL;
}

void
listen_close(struct listener *l)
{
	struct stat st;

	if (l->unlink_path != NULL && lstat(l->unlink_path, &st) == 0 && st.st_dev == l->dev &&
	    st.st_ino == l->ino)
		unlink(l->unlink_path);
	if (l->fd >= 0)
		close(l->fd); /* closed only now, because another socket could get an inode that is
				 free */
	l->fd = -1;
	listen_forget(l);
}
