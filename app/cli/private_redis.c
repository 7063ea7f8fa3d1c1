#include "cli/private_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/child.h"
#include "redis/direct.h"
#include "redis/settings.h"

enum { WHY_MAX = 2048, DATABASES = 16 };

bool
private_redis_is_there(const struct redis_settings *rs)
{
	redisReply *reply = NULL;
	char why[WHY_MAX];

	if (redis_direct(rs, RESP_WORDS("PING"), &reply, why, sizeof(why)) < 0)
		return false;
	freeReplyObject(reply);
	return true;
}

static bool
is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "::1") == 0;
}

/* NULL, or why there cannot be one of ours. */
static const char *
refuse(const struct redis_settings *rs)
{
	const struct redis_url *url = &rs->urls[0];

	if (rs->sentinel_master != NULL || rs->is_cluster || url->is_tls || url->user != NULL ||
	    rs->password_file != NULL)
		return "a private Redis has no sentinel, no cluster, no TLS, no user and no "
		       "password file";
	if (url->host != NULL && !is_loopback(url->host))
		return "a private Redis is on this machine: url names another";
	return NULL;
}

/* As redis.conf has it: in quotes, and what does not stand for itself escaped. */
static void
write_quoted(FILE *f, const char *text)
{
	fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < ' ')
			fprintf(f, "\\x%02x", *p);
		else
			fputc(*p, f);
	}
	fputs("\"\n", f);
}

/* A password is no word of a command line, which everybody can read. */
static int
write_file(const struct redis_url *url, const char *folder, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL)
		return -errno;
	if (url->host != NULL) {
		fprintf(f, "bind %s\nport %d\n",
			strcmp(url->host, "localhost") == 0 ? "127.0.0.1 -::1" : url->host,
			url->port);
	} else {
		fputs("port 0\nunixsocket ", f);
		write_quoted(f, url->path);
	}
	if (url->password != NULL) {
		fputs("requirepass ", f);
		write_quoted(f, url->password);
	}
	fprintf(f, "databases %d\ndir %s\nsave \"\"\nappendonly no\nnotify-keyspace-events KA\n",
		url->db >= DATABASES ? url->db + 1 : DATABASES, folder);
	return fclose(f) == 0 ? 0 : -errno;
}

int
private_redis_start(struct child *child, const struct redis_settings *rs, const char *folder,
		    char *why, size_t why_len)
{
	const char *fault = refuse(rs), *argv[3] = {0};
	char program[PATH_MAX], path[PATH_MAX];
	int rc;

	if (fault != NULL) {
		snprintf(why, why_len, "--redis: %s", fault);
		return -1;
	}
	if (!child_find("redis-server", program) && !child_find("valkey-server", program)) {
		snprintf(why, why_len,
			 "--redis: neither redis-server nor valkey-server is "
			 "installed: apt-get install redis-server");
		return -1;
	}
	snprintf(path, sizeof(path), "%s/redis.conf", folder);
	argv[0] = program;
	argv[1] = path;
	child->name = "Redis";
	if ((rc = write_file(&rs->urls[0], folder, path)) < 0 ||
	    (rc = child_start(child, argv)) < 0) {
		snprintf(why, why_len, "--redis: %s", strerror(-rc));
		return -1;
	}
	return 0;
}
