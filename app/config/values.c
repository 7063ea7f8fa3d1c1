#include "config/values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/config.h"
#include "base/address.h"
#include "base/strings.h"
#include "base/units.h"

/* Numbers */

static void
store(void *field, size_t size, uint64_t value)
{
	switch (size) {
	case sizeof(uint32_t):
		*(uint32_t *)field = (uint32_t)value;
		return;
	case sizeof(uint64_t):
		*(uint64_t *)field = value;
		return;
	}
	abort(); /* a field of another size in the table */
}

static bool
is_in_range(const struct config_key *key, uint64_t n)
{
	return (n >= key->min && n <= key->max) || (n == 0 && key->or_zero);
}

CONFIG_SETTER(config_set_number)
{
	uint64_t n;

	if (units_number(&n, text) < 0 || !is_in_range(key, n))
		return CONFIG_REFUSE("\"%.*s\" is no number from %llu to %llu", CONFIG_QUOTED_MAX,
				     text, (unsigned long long)key->min,
				     (unsigned long long)key->max);
	store(field, key->size, n);
	return 0;
}

CONFIG_SETTER(config_set_duration)
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	uint64_t n;

	if (units_duration(&n, text) < 0 || !is_in_range(key, n))
		return CONFIG_REFUSE(
		    "\"%.*s\" is no duration %sfrom %s to %s, as in 250ms, 5s, 30m, 2h",
		    CONFIG_QUOTED_MAX, text, key->or_zero ? "of 0, or " : "",
		    units_duration_text(low, key->min), units_duration_text(high, key->max));
	store(field, key->size, n);
	return 0;
}

CONFIG_SETTER(config_set_size)
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	uint64_t n;

	if (units_size(&n, text) < 0 || !is_in_range(key, n))
		return CONFIG_REFUSE("\"%.*s\" is no size %sfrom %s to %s, as in 65536, 64k, 1m",
				     CONFIG_QUOTED_MAX, text, key->or_zero ? "of 0, or " : "",
				     units_size_text(low, key->min),
				     units_size_text(high, key->max));
	store(field, key->size, n);
	return 0;
}

CONFIG_SETTER(config_set_workers)
{
	long cores;

	if (strcmp(text, "auto") != 0) {
		if (config_set_number(key, field, text, why, why_len) == 0)
			return 0;
		return CONFIG_REFUSE("\"%.*s\" is neither auto nor a number from %llu to %llu",
				     CONFIG_QUOTED_MAX, text, (unsigned long long)key->min,
				     (unsigned long long)key->max);
	}
	cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (cores < 1)
		cores = 1;
	store(field, key->size, (uint64_t)cores > key->max ? key->max : (uint64_t)cores);
	return 0;
}

CONFIG_SETTER(config_set_mode)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	(void)key;
	if (*text < '0' || *text > '7' || *end != '\0' || mode > 0777)
		return CONFIG_REFUSE("\"%.*s\" is no octal mode from 0 to 0777, as in 0660",
				     CONFIG_QUOTED_MAX, text);
	*(mode_t *)field = (mode_t)mode;
	return 0;
}

/* Words */

CONFIG_SETTER(config_set_word)
{
	char list[256];
	size_t len = 0;

	for (size_t i = 0; key->words[i] != NULL; i++) {
		if (strcmp(key->words[i], text) == 0) {
			store(field, key->size, i);
			return 0;
		}
	}
	for (size_t i = 0; key->words[i] != NULL && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", key->words[i]);
	return CONFIG_REFUSE("\"%.*s\" is none of:%s", CONFIG_QUOTED_MAX, text, list);
}

CONFIG_SETTER(config_set_yes_no)
{
	bool is_yes = strcmp(text, "yes") == 0;

	(void)key;
	if (!is_yes && strcmp(text, "no") != 0)
		return CONFIG_REFUSE("\"%.*s\" is neither yes nor no", CONFIG_QUOTED_MAX, text);
	*(bool *)field = is_yes;
	return 0;
}

/* Text */

int
config_copy(void *field, const char *text)
{
	return (*(char **)field = strdup(text)) == NULL ? -ENOMEM : 0;
}

CONFIG_SETTER(config_set_text)
{
	(void)key;
	(void)why;
	(void)why_len;
	return config_copy(field, text);
}

static bool
is_id(const char *text, uint64_t *id)
{
	return units_number(id, text) == 0 && *id < UINT32_MAX;
}

/* The account to become. It must exist, and is named or given by its number; its name is kept. */
CONFIG_SETTER(config_set_user)
{
	/* cppcheck-suppress getpwnamCalled; only the main thread asks */
	const struct passwd *pw = getpwnam(text);
	uint64_t id;

	(void)key;
	if (pw == NULL && is_id(text, &id))
		pw = getpwuid((uid_t)id); /* cppcheck-suppress getpwuidCalled */
	if (pw == NULL)
		return CONFIG_REFUSE("there is no user \"%.*s\"", CONFIG_QUOTED_MAX, text);
	return config_copy(field, pw->pw_name);
}

CONFIG_SETTER(config_set_group)
{
	/* cppcheck-suppress getgrnamCalled; only the main thread asks */
	const struct group *gr = getgrnam(text);
	uint64_t id;

	(void)key;
	if (gr == NULL && is_id(text, &id))
		gr = getgrgid((gid_t)id); /* cppcheck-suppress getgrgidCalled */
	if (gr == NULL)
		return CONFIG_REFUSE("there is no group \"%.*s\"", CONFIG_QUOTED_MAX, text);
	return config_copy(field, gr->gr_name);
}

/*
 * The owner of a socket. As with chown, a number needs no account: in a container there often is
 * none.
 */
CONFIG_SETTER(config_set_owner)
{
	uint64_t id;

	return is_id(text, &id) ? config_copy(field, text)
				: config_set_user(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_owner_group)
{
	uint64_t id;

	return is_id(text, &id) ? config_copy(field, text)
				: config_set_group(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_base)
{
	size_t len = strlen(text);

	(void)key;
	if (len > 0 && (text[0] != '/' || text[len - 1] == '/' || strstr(text, "//") != NULL ||
			strpbrk(text, "?#{} \t") != NULL))
		return CONFIG_REFUSE(
		    "\"%.*s\" is no path prefix, as in /events: it begins with \"/\" and "
		    "does not end with one",
		    CONFIG_QUOTED_MAX, text);
	return config_copy(field, text);
}

CONFIG_SETTER(config_set_log)
{
	const char *slash = strrchr(text, '/');
	char folder[PATH_MAX];
	struct stat st;

	(void)key;
	if (strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0)
		return config_copy(field, text);
	if (slash == NULL)
		return CONFIG_REFUSE(
		    "\"%.*s\" is neither stderr, syslog nor a path with a \"/\" in it",
		    CONFIG_QUOTED_MAX, text);
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - text), text);
	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
		return CONFIG_REFUSE("%.*s: there is no folder %.*s", CONFIG_QUOTED_MAX, text,
				     CONFIG_QUOTED_MAX, folder);
	if (slash[1] == '\0' || (stat(text, &st) == 0 && S_ISDIR(st.st_mode)))
		return CONFIG_REFUSE("%.*s is a folder, not a file", CONFIG_QUOTED_MAX, text);
	return config_copy(field, text);
}

CONFIG_SETTER(config_set_readable_file)
{
	struct stat st;

	(void)key;
	if (stat(text, &st) < 0 || access(text, R_OK) < 0)
		return CONFIG_REFUSE("%.*s: %s", CONFIG_QUOTED_MAX, text, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return CONFIG_REFUSE("%.*s is no regular file", CONFIG_QUOTED_MAX, text);
	return config_copy(field, text);
}

/* The password is the first line. An empty one would be sent, and nobody be let in with it. */
CONFIG_SETTER(config_set_password_file)
{
	int rc = config_set_readable_file(key, field, text, why, why_len), first;
	FILE *f;

	if (rc < 0)
		return rc;
	if ((f = fopen(text, "re")) == NULL)
		return CONFIG_REFUSE("%.*s: %s", CONFIG_QUOTED_MAX, text, strerror(errno));
	first = getc(f);
	fclose(f);
	if (first == EOF || first == '\n' || first == '\r')
		return CONFIG_REFUSE("%.*s: its first line, the password, is empty",
				     CONFIG_QUOTED_MAX, text);
	return 0;
}

/* Addresses */

/* HOST:PORT, where HOST is "localhost", an IPv4 address or an IPv6 address in brackets. */
static bool
is_host_port(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	bool is_bracketed;
	uint16_t port;

	if (address_split(text, host, sizeof(host), &is_bracketed, &port) < 0)
		return false;
	if (is_bracketed)
		return inet_pton(AF_INET6, host, &addr) == 1;
	return strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &addr) == 1;
}

/* Does another address stand behind the first word? A path may hold anything else. */
static bool
is_several(const char *text)
{
	char address[128];
	const char *one;
	size_t len;

	for (unsigned n = 0; (one = strings_next(&text, &len)) != NULL; n++) {
		snprintf(address, sizeof(address), "%.*s", (int)len, one);
		if (n > 0 && (strncmp(address, "unix:", 5) == 0 || is_host_port(address)))
			return true;
	}
	return false;
}

CONFIG_SETTER(config_set_listen)
{
	const size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	(void)key;
	if (strncmp(text, "unix:", 5) == 0) {
		if (text[5] == '@')
			return CONFIG_REFUSE(
			    "unix:@ is no path: anybody may connect to an abstract "
			    "socket; did you mean unix:/run/%.*s?",
			    CONFIG_QUOTED_MAX, text + 6);
		if (text[5] == '\0')
			return CONFIG_REFUSE(
			    "unix: needs a path, as in unix:/run/sluice/sluice.sock");
		if (is_several(text))
			return CONFIG_REFUSE("it is one address, not several");
		if (strlen(text + 5) > path_max)
			return CONFIG_REFUSE("the path of a Unix socket has at most %zu bytes; "
					     "that of unix:%.*s... has %zu",
					     path_max, CONFIG_QUOTED_MAX, text + 5,
					     strlen(text + 5));
	} else if (strcmp(text, "inherit") != 0 && !is_host_port(text)) {
		return CONFIG_REFUSE(
		    "\"%.*s\" is neither unix:PATH, HOST:PORT (localhost, an IPv4 "
		    "address or an IPv6 address in [], and 1 to 65535) nor inherit",
		    CONFIG_QUOTED_MAX, text);
	}
	return config_copy(field, text);
}

/* One member of the list; the whole is never quoted in a sentence, for it holds passwords. */
static int
parse_url(struct redis_url *out, const char *text, size_t len, char *why, size_t why_len)
{
	const char *reason = "";
	char *one = strndup(text, len);
	int rc;

	if (one == NULL)
		return -ENOMEM;
	rc = redis_url_parse(out, one, &reason);
	free(one);
	if (rc == -EINVAL)
		snprintf(why, why_len, "%s", reason);
	return rc;
}

CONFIG_SETTER(config_set_urls)
{
	struct redis_settings *rs = field;
	size_t n = strings_count(text), len;
	const char *one;
	int rc;

	(void)key;
	if (n == 0)
		return CONFIG_REFUSE("no URL: redis://HOST:PORT or unix:///PATH, one or several");
	if ((rs->urls = calloc(n, sizeof(*rs->urls))) == NULL)
		return -ENOMEM;
	while ((one = strings_next(&text, &len)) != NULL) {
		if ((rc = parse_url(&rs->urls[rs->n_urls], one, len, why, why_len)) < 0)
			return rc;
		rs->n_urls++;
	}
	return 0;
}
