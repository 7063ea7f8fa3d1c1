#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/percent.h"
#include "base/strings.h"
#include "redis/settings.h"

enum { DEFAULT_PORT = 6379, DB_MAX = 1000000 };

static const char forms[] =
    "a Redis URL is redis://[user[:password]@]host[:port][/db], rediss:// for TLS, or "
    "unix://[user[:password]@]/path[?db=N]";

/* Copies and decodes len bytes. Returns 0, -EINVAL, -ENOMEM. */
static int
decoded_copy(char **out, const char *p, size_t len)
{
	char *to = malloc(len + 1);
	int n;

	if (to == NULL)
		return -ENOMEM;
	if ((n = percent_decode(to, p, len, '+')) < 0 || strlen(to) != (size_t)n) {
		free(to);
		return -EINVAL;
	}
	*out = to;
	return 0;
}

/* Digits only, within [0, max]. */
static int
parse_number(const char *text, size_t len, long max, int *out)
{
	long n = 0;
	size_t i;

	if (len == 0 || len > 9)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		n = n * 10 + (text[i] - '0');
	}
	if (n > max)
		return -EINVAL;
	*out = (int)n;
	return 0;
}

/* Reads "user:password", ":password", or "user", whose password stands in password_file. */
static int
parse_login(struct redis_url *url, const char *p, size_t len, const char **why)
{
	const char *colon = memchr(p, ':', len), *end = p + len;
	const char *user_end = colon != NULL ? colon : end;
	int rc = 0;

	if (len == 0) {
		*why = "before the @ stands user:password, :password, or a user";
		return -EINVAL;
	}
	if (user_end > p)
		rc = decoded_copy(&url->user, p, (size_t)(user_end - p));
	if (rc == 0 && colon != NULL)
		rc = decoded_copy(&url->password, colon + 1, (size_t)(end - colon - 1));
	if (rc < 0)
		*why = "a % in the user or password stands before two hexadecimal digits, not 00";
	return rc;
}

static int
parse_host(struct redis_url *url, const char *p, size_t len, const char **why)
{
	const char *end = p + len, *port;

	if (len > 0 && p[0] == '[') {
		const char *close = memchr(p, ']', len);

		if (close == NULL || (close + 1 < end && close[1] != ':')) {
			*why = "an IPv6 address stands in brackets, [::1]:6379";
			return -EINVAL;
		}
		url->host = strndup(p + 1, (size_t)(close - p - 1));
		port = close + 1 < end ? close + 2 : NULL;
	} else {
		const char *colon = memchr(p, ':', len);

		url->host = strndup(p, colon != NULL ? (size_t)(colon - p) : len);
		port = colon != NULL ? colon + 1 : NULL;
	}
	if (url->host == NULL)
		return -ENOMEM;
	if (url->host[0] == '\0') {
		*why = forms;
		return -EINVAL;
	}
	url->port = DEFAULT_PORT;
	if (port != NULL &&
	    (parse_number(port, (size_t)(end - port), 65535, &url->port) < 0 || url->port == 0)) {
		*why = "a port is a number from 1 to 65535";
		return -EINVAL;
	}
	return 0;
}

static int
parse_db(struct redis_url *url, const char *text, const char **why)
{
	if (parse_number(text, strlen(text), DB_MAX, &url->db) == 0)
		return 0;
	*why = "the database is a number";
	return -EINVAL;
}

static int
parse_tcp(struct redis_url *url, const char *rest, const char **why)
{
	const char *slash = strchr(rest, '/');
	size_t len = slash != NULL ? (size_t)(slash - rest) : strlen(rest);
	const char *at = memrchr(rest, '@', len);
	int rc;

	if (at != NULL) {
		if ((rc = parse_login(url, rest, (size_t)(at - rest), why)) < 0)
			return rc;
		len -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	if ((rc = parse_host(url, rest, len, why)) < 0)
		return rc;
	return slash != NULL && slash[1] != '\0' ? parse_db(url, slash + 1, why) : 0;
}

static int
parse_unix(struct redis_url *url, const char *rest, const char **why)
{
	const char *slash = strchr(rest, '/'), *query;
	int rc;

	if (slash == NULL) {
		*why = "a Unix socket's path is absolute, unix:///run/redis/redis.sock";
		return -EINVAL;
	}
	if (slash > rest) {
		if (slash[-1] != '@') {
			*why = "a Unix socket's path is absolute, unix:///run/redis/redis.sock";
			return -EINVAL;
		}
		if ((rc = parse_login(url, rest, (size_t)(slash - 1 - rest), why)) < 0)
			return rc;
	}
	query = strchr(slash, '?');
	url->path = query != NULL ? strndup(slash, (size_t)(query - slash)) : strdup(slash);
	if (url->path == NULL)
		return -ENOMEM;
	if (strlen(url->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		*why = "a Unix socket's path has at most 107 bytes";
		return -EINVAL;
	}
	if (query == NULL)
		return 0;
	if (strncmp(query, "?db=", 4) != 0) {
		*why = "behind a Unix socket's path only ?db=N may stand";
		return -EINVAL;
	}
	return parse_db(url, query + 4, why);
}

int
redis_url_parse(struct redis_url *out, const char *text, const char **why)
{
	int rc = -EINVAL;

	memset(out, 0, sizeof(*out));
	*why = forms;
	if (strncmp(text, "redis://", 8) == 0) {
		rc = parse_tcp(out, text + 8, why);
	} else if (strncmp(text, "unix://", 7) == 0) {
		rc = parse_unix(out, text + 7, why);
	} else if (strncmp(text, "rediss://", 9) == 0) {
		rc = parse_tcp(out, text + 9, why);
		out->is_tls = true;
	}
	if (rc == -ENOMEM)
		*why = "out of memory";
	if (rc < 0)
		redis_url_fini(out);
	return rc;
}

void
redis_url_fini(struct redis_url *url)
{
	free(url->host);
	free(url->path);
	free(url->user);
	free(url->password);
	memset(url, 0, sizeof(*url));
}

const char *
redis_url_print(const struct redis_url *url, char *out, size_t len)
{
	if (url->path != NULL)
		snprintf(out, len, "%s", url->path);
	else
		snprintf(out, len, strchr(url->host, ':') != NULL ? "[%s]:%d" : "%s:%d", url->host,
			 url->port);
	return out;
}

void
redis_settings_fini(struct redis_settings *rs)
{
	size_t i;

	for (i = 0; i < rs->n_urls; i++)
		redis_url_fini(&rs->urls[i]);
	free(rs->urls);
	free(rs->prefix);
	free(rs->password_file);
	tls_settings_fini(&rs->tls);
	free(rs->sentinel_master);
	free(rs->sentinel_password_file);
	memset(rs, 0, sizeof(*rs));
}

static bool
same_url(const struct redis_url *a, const struct redis_url *b)
{
	return strings_are_same(a->host, b->host) && strings_are_same(a->path, b->path) &&
	       a->port == b->port && strings_are_same(a->user, b->user) &&
	       strings_are_same(a->password, b->password) && a->db == b->db &&
	       a->is_tls == b->is_tls;
}

static bool
same_tls(const struct tls_settings *a, const struct tls_settings *b)
{
	return strings_are_same(a->ca, b->ca) && strings_are_same(a->cert, b->cert) &&
	       strings_are_same(a->key, b->key) && strings_are_same(a->server_name, b->server_name);
}

static const char *
tls_key_given(const struct tls_settings *ts)
{
	if (ts->ca != NULL)
		return "tls_ca";
	if (ts->cert != NULL)
		return "tls_cert";
	if (ts->key != NULL)
		return "tls_key";
	return ts->server_name != NULL ? "tls_server_name" : NULL;
}

static const char *
check_sentinel(const struct redis_settings *rs, char *why, size_t why_len)
{
	size_t i;

	if (rs->sentinel_master == NULL && rs->sentinel_password_file != NULL) {
		snprintf(why, why_len, "there is no sentinel_master, so no sentinel is asked");
		return "sentinel_password_file";
	}
	for (i = 0; rs->sentinel_master != NULL && i < rs->n_urls; i++) {
		if (rs->urls[i].path != NULL) {
			snprintf(why, why_len, "sentinels are reached by redis://host:26379");
			return "url";
		}
	}
	return NULL;
}

static const char *
check_cluster(const struct redis_settings *rs, char *why, size_t why_len)
{
	if (rs->is_sharded && !rs->is_cluster) {
		snprintf(why, why_len,
			 "channels are sharded in a cluster: cluster = yes is missing");
		return "sharded";
	}
	if (rs->is_cluster && rs->sentinel_master != NULL) {
		snprintf(why, why_len, "a cluster has no sentinels");
		return "sentinel_master";
	}
	for (size_t i = 0; rs->is_cluster && i < rs->n_urls; i++) {
		if (rs->urls[i].path != NULL || rs->urls[i].db != 0) {
			snprintf(why, why_len,
				 rs->urls[i].path != NULL
				     ? "nodes of a cluster are reached by redis://host:port"
				     : "a cluster has database 0, and no other");
			return "url";
		}
	}
	return NULL;
}

/* What sentinels are asked for is another matter: it may need no password. */
static const char *
check_logins(const struct redis_settings *rs, char *why, size_t why_len)
{
	if (rs->password_file != NULL || rs->sentinel_master != NULL)
		return NULL;
	for (size_t i = 0; i < rs->n_urls; i++) {
		if (rs->urls[i].user != NULL && rs->urls[i].password == NULL) {
			snprintf(why, why_len,
				 "it names a user, and neither it nor password_file a password");
			return "url";
		}
	}
	return NULL;
}

const char *
redis_settings_check(const struct redis_settings *rs, char *why, size_t why_len)
{
	const char *key = check_sentinel(rs, why, why_len);
	struct tls *tls;
	size_t i, n_tls = 0;

	if (key == NULL)
		key = check_cluster(rs, why, why_len);
	if (key == NULL)
		key = check_logins(rs, why, why_len);
	if (key != NULL)
		return key;
	key = tls_key_given(&rs->tls);
	for (i = 0; i < rs->n_urls; i++)
		n_tls += rs->urls[i].is_tls;
	if (n_tls == 0 && key != NULL) {
		snprintf(why, why_len, "no url begins with rediss://, so there is no TLS");
		return key;
	}
	if (rs->tls.key != NULL && rs->tls.cert == NULL) {
		snprintf(why, why_len, "a key goes with a certificate: tls_cert is missing");
		return "tls_key";
	}
	if (n_tls == 0 || tls_new(&tls, &rs->tls, why, why_len) == 0) {
		if (n_tls > 0)
			tls_free(tls);
		return NULL;
	}
	return key != NULL ? key : "url";
}

bool
redis_settings_equal(const struct redis_settings *a, const struct redis_settings *b)
{
	size_t i;

	if (a->n_urls != b->n_urls || !strings_are_same(a->prefix, b->prefix) ||
	    !strings_are_same(a->password_file, b->password_file) ||
	    !strings_are_same(a->sentinel_master, b->sentinel_master) ||
	    !strings_are_same(a->sentinel_password_file, b->sentinel_password_file) ||
	    a->is_cluster != b->is_cluster || a->is_sharded != b->is_sharded ||
	    !same_tls(&a->tls, &b->tls) || a->connect_timeout_ms != b->connect_timeout_ms)
		return false;
	for (i = 0; i < a->n_urls; i++) {
		if (!same_url(&a->urls[i], &b->urls[i]))
			return false;
	}
	return true;
}
