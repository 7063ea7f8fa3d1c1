#ifndef SLUICE_REDIS_SETTINGS_H
#define SLUICE_REDIS_SETTINGS_H

/*
 * settings - [redis]: where Redis is, and how to connect to it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "redis/tls.h"

struct redis_url {
	char *host; /* NULL for a Unix socket */
	char *path; /* NULL for TCP */
	int port;
	char *user, *password; /* each may be NULL */
	int db;
	bool is_tls;
};

/*
 * url.c: redis_url_parse - redis://[user[:password]@]host[:port][/db], rediss:// likewise over TLS,
 * unix://[user[:password]@]/path[?db=N]; user and password percent-decoded;
 * host may be an IPv6 address in brackets. On failure *why says what is wrong
 * and what is allowed (a constant). Returns 0, -EINVAL, -ENOMEM; *out is the caller's.
 */
int redis_url_parse(struct redis_url *out, const char *text, const char **why);
void redis_url_fini(struct redis_url *url);

/* redis_url_print - writes where it is, for a log line, without the password. Returns out. */
const char *redis_url_print(const struct redis_url *url, char *out, size_t len);

struct redis_settings {
	struct redis_url *urls;
	size_t n_urls;
	char *prefix;        /* put before every channel and key; never NULL */
	char *password_file; /* NULL, or the file with the password of all URLs that have none; it
				is read at each connection */
	unsigned connect_timeout_ms;
	struct tls_settings tls; /* for all URLs with rediss:// */
	/*
	 * If sentinel_master is set, the URLs name sentinels, and their logins, databases and TLS
	 * are used for the primary.
	 */
	char *sentinel_master;        /* NULL: they name servers */
	char *sentinel_password_file; /* NULL: the sentinels need none */
	bool is_of_sentinels;         /* these URLs are those of sentinels, which are asked */
	/*
	 * If is_cluster is set, the URLs name some nodes of a cluster, and their logins and TLS are
	 * used for all nodes.
	 */
	bool is_cluster;
	bool is_sharded; /* channels are the cluster's sharded ones */
	bool is_of_map;  /* the node is only asked where the slots are, so a replica will do */
};
void redis_settings_fini(struct redis_settings *rs);
/*
 * redis_settings_check - do the keys fit each other, and can TLS begin with its files? Returns
 * NULL; or the key that is at fault, and why.
 */
const char *redis_settings_check(const struct redis_settings *rs, char *why, size_t why_len);
bool redis_settings_equal(const struct redis_settings *a, const struct redis_settings *b);

#endif
