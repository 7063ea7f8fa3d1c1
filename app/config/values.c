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
#include "route/handlers.h"
#include "redis/command_words.h"
#include "redis/keys.h"
#include "redis/stream_id.h"
#include "base/address.h"
#include "base/json_text.h"
#include "base/strings.h"
#include "base/suggest.h"
#include "base/units.h"

enum {
	COMMAND_WORDS_MAX = 64,
	LIMIT_MAX = 1000000,
	LIMIT_PERIOD_MAX_MS = 3600 * 1000,
	START_LAST_MAX = 100000
};

/* What the sentences about wrong values quote of them. */
#define QUOTED_MAX  80

#define REFUSE(...) (snprintf(why, why_len, __VA_ARGS__), -EINVAL)

static size_t
list_len(const char *text)
{
	size_t len, n = 0;

	while (strings_next(&text, &len) != NULL)
		n++;
	return n;
}

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
		return REFUSE("\"%.*s\" is no number from %llu to %llu", QUOTED_MAX, text,
			      (unsigned long long)key->min, (unsigned long long)key->max);
	store(field, key->size, n);
	return 0;
}

CONFIG_SETTER(config_set_duration)
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	uint64_t n;

	if (units_duration(&n, text) < 0 || !is_in_range(key, n))
		return REFUSE("\"%.*s\" is no duration %sfrom %s to %s, as in 250ms, 5s, 30m, 2h",
			      QUOTED_MAX, text, key->or_zero ? "of 0, or " : "",
			      units_duration_text(low, key->min),
			      units_duration_text(high, key->max));
	store(field, key->size, n);
	return 0;
}

CONFIG_SETTER(config_set_size)
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	uint64_t n;

	if (units_size(&n, text) < 0 || !is_in_range(key, n))
		return REFUSE("\"%.*s\" is no size from %s to %s, as in 65536, 64k, 1m", QUOTED_MAX,
			      text, units_size_text(low, key->min),
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
		return REFUSE("\"%.*s\" is neither auto nor a number from %llu to %llu", QUOTED_MAX,
			      text, (unsigned long long)key->min, (unsigned long long)key->max);
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
		return REFUSE("\"%.*s\" is no octal mode from 0 to 0777, as in 0660", QUOTED_MAX,
			      text);
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
	return REFUSE("\"%.*s\" is none of:%s", QUOTED_MAX, text, list);
}

CONFIG_SETTER(config_set_yes_no)
{
	bool is_yes = strcmp(text, "yes") == 0;

	(void)key;
	if (!is_yes && strcmp(text, "no") != 0)
		return REFUSE("\"%.*s\" is neither yes nor no", QUOTED_MAX, text);
	*(bool *)field = is_yes;
	return 0;
}

/* Text */

static int
copy(void *field, const char *text)
{
	return (*(char **)field = strdup(text)) == NULL ? -ENOMEM : 0;
}

CONFIG_SETTER(config_set_text)
{
	(void)key;
	(void)why;
	(void)why_len;
	return copy(field, text);
}

static bool
is_id(const char *text, uint64_t *id)
{
	return units_number(id, text) == 0 && *id < UINT32_MAX;
}

/* Whom to become: an account that exists, by its name or its number; kept is the name. */
CONFIG_SETTER(config_set_user)
{
	/* cppcheck-suppress getpwnamCalled; only the main thread asks */
	const struct passwd *pw = getpwnam(text);
	uint64_t id;

	(void)key;
	if (pw == NULL && is_id(text, &id))
		pw = getpwuid((uid_t)id); /* cppcheck-suppress getpwuidCalled */
	if (pw == NULL)
		return REFUSE("there is no user \"%.*s\"", QUOTED_MAX, text);
	return copy(field, pw->pw_name);
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
		return REFUSE("there is no group \"%.*s\"", QUOTED_MAX, text);
	return copy(field, gr->gr_name);
}

/* Whose a socket is to be: as for chown a number needs no account, as in a container. */
CONFIG_SETTER(config_set_owner)
{
	uint64_t id;

	return is_id(text, &id) ? copy(field, text)
				: config_set_user(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_owner_group)
{
	uint64_t id;

	return is_id(text, &id) ? copy(field, text)
				: config_set_group(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_base)
{
	size_t len = strlen(text);

	(void)key;
	if (len > 0 && (text[0] != '/' || text[len - 1] == '/' || strstr(text, "//") != NULL ||
			strpbrk(text, "?#{} \t") != NULL))
		return REFUSE("\"%.*s\" is no path prefix, as in /events: it begins with \"/\" and "
			      "does not end with one",
			      QUOTED_MAX, text);
	return copy(field, text);
}

CONFIG_SETTER(config_set_log)
{
	const char *slash = strrchr(text, '/');
	char folder[PATH_MAX];
	struct stat st;

	(void)key;
	if (strcmp(text, "stderr") == 0 || strcmp(text, "syslog") == 0)
		return copy(field, text);
	if (slash == NULL)
		return REFUSE("\"%.*s\" is neither stderr, syslog nor a path with a \"/\" in it",
			      QUOTED_MAX, text);
	snprintf(folder, sizeof(folder), "%.*s", (int)(slash + 1 - text), text);
	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
		return REFUSE("%.*s: there is no folder %.*s", QUOTED_MAX, text, QUOTED_MAX,
			      folder);
	return copy(field, text);
}

CONFIG_SETTER(config_set_readable_file)
{
	struct stat st;

	(void)key;
	if (stat(text, &st) < 0 || access(text, R_OK) < 0)
		return REFUSE("%.*s: %s", QUOTED_MAX, text, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return REFUSE("%.*s is no regular file", QUOTED_MAX, text);
	return copy(field, text);
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

CONFIG_SETTER(config_set_listen)
{
	const size_t path_max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	(void)key;
	if (strncmp(text, "unix:", 5) == 0) {
		if (text[5] == '@')
			return REFUSE("unix:@ is no path: anybody may connect to an abstract "
				      "socket; did you mean unix:/run/%.*s?",
				      QUOTED_MAX, text + 6);
		if (text[5] == '\0')
			return REFUSE("unix: needs a path, as in unix:/run/sluice/sluice.sock");
		if (strlen(text + 5) > path_max)
			return REFUSE("the path of a Unix socket has at most %zu bytes; "
				      "that of unix:%.*s... has %zu",
				      path_max, QUOTED_MAX, text + 5, strlen(text + 5));
	} else if (strcmp(text, "inherit") != 0 && !is_host_port(text)) {
		return REFUSE("\"%.*s\" is neither unix:PATH, HOST:PORT (localhost, an IPv4 "
			      "address or an IPv6 address in [], and 1 to 65535) nor inherit",
			      QUOTED_MAX, text);
	}
	return copy(field, text);
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
	size_t n = list_len(text), len;
	const char *one;
	int rc;

	(void)key;
	if (n == 0)
		return REFUSE("no URL: redis://HOST:PORT or unix:///PATH, one or several");
	if ((rs->urls = calloc(n, sizeof(*rs->urls))) == NULL)
		return -ENOMEM;
	while ((one = strings_next(&text, &len)) != NULL) {
		if ((rc = parse_url(&rs->urls[rs->n_urls], one, len, why, why_len)) < 0)
			return rc;
		rs->n_urls++;
	}
	return 0;
}

/* Routes */

CONFIG_SETTER(config_set_path)
{
	const char *name;
	int rc = path_compile(field, text, why, why_len);

	(void)key;
	for (size_t n = 0; rc == 0 && (name = path_param(*(struct path **)field, n)) != NULL; n++) {
		if (template_is_reserved(name))
			return REFUSE("{%s} is reserved: in a template it stands for something of "
				      "Sluice's own; did you mean \"{%s_name}\"?",
				      name, name);
	}
	return rc;
}

CONFIG_SETTER(config_set_handler)
{
	const struct handler **out = field, *h;
	struct suggest s;
	char all[256] = "";
	size_t len = 0;

	(void)key;
	if ((*out = handlers_find(text)) != NULL)
		return 0;
	suggest_init(&s, text);
	for (size_t n = 0; (h = handlers_nth(n)) != NULL; n++) {
		suggest_try(&s, h->name);
		if (len < sizeof(all))
			len += (size_t)snprintf(all + len, sizeof(all) - len, " %s", h->name);
	}
	if (suggest_best(&s) != NULL)
		return REFUSE("there is no handler \"%.*s\"; did you mean \"%s\"?", QUOTED_MAX,
			      text, suggest_best(&s));
	return REFUSE("there is no handler \"%.*s\"; there are:%s", QUOTED_MAX, text, all);
}

CONFIG_SETTER(config_set_template)
{
	if (*text == '\0') {
		*(struct template **)field = NULL;
		return 0;
	}
	return template_compile(field, text, key->allow, why, why_len);
}

/* Each of n texts as a template, for a list that is the route's, half-built too. */
static int
compile_list(const struct config_key *key, void *field, char *const *texts, size_t n, char *why,
	     size_t why_len)
{
	struct template **list = calloc(n + 1, sizeof(struct template *));
	int rc = 0;

	if (list == NULL)
		return -ENOMEM;
	*(struct template ***)field = list;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = template_compile(&list[i], texts[i], key->allow, why, why_len);
	return rc;
}

/* JSON as it stands: braces are braces in it. */
static int
compile_json(struct template **out, const char *json, char *why, size_t why_len)
{
	size_t len = strlen(json), n = 0;
	char *text = malloc(2 * len + 1);
	int rc;

	if (text == NULL)
		return -ENOMEM;
	for (; *json != '\0'; json++) {
		if (*json == '{' || *json == '}')
			text[n++] = *json;
		text[n++] = *json;
	}
	text[n] = '\0';
	rc = template_compile(out, text, 0, why, why_len);
	free(text);
	return rc;
}

CONFIG_SETTER(config_set_data)
{
	bool is_wide;

	if (json_text_check(text, strlen(text), &is_wide))
		return compile_json(field, text, why, why_len);
	return config_set_template(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_templates)
{
	size_t n = list_len(text);
	char **texts = NULL;
	int rc;

	if (n == 0)
		return 0;
	if ((rc = config_set_names(key, &texts, text, why, why_len)) == 0)
		rc = compile_list(key, field, texts, n, why, why_len);
	strings_free(texts);
	return rc;
}

CONFIG_SETTER(config_set_streams)
{
	if (list_len(text) > STREAM_CURSOR_MAX)
		return REFUSE("more than %d streams: a client's Last-Event-ID holds no more",
			      STREAM_CURSOR_MAX);
	return config_set_templates(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_start)
{
	struct feed_settings *fs = (void *)((char *)field - offsetof(struct feed_settings, start));
	uint64_t n;

	(void)key;
	if (strcmp(text, "$") == 0)
		return 0;
	if (strcmp(text, "0") == 0) {
		fs->start.is_beginning = true;
		return 0;
	}
	if (strncmp(text, "last:", 5) != 0 || units_number(&n, text + 5) < 0 || n < 1 ||
	    n > START_LAST_MAX)
		return REFUSE("\"%.*s\" is neither $, 0 nor last:N with N from 1 to %d", QUOTED_MAX,
			      text, START_LAST_MAX);
	fs->start.last = (unsigned)n;
	return 0;
}

/* Which command it is cannot depend on a request. */
static int
check_command(char *const *words, char *why, size_t why_len)
{
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	if (strchr(words[0], '{') != NULL)
		return REFUSE("the command itself cannot be a parameter");
	if (!keys_is_shareable(words[0]))
		return REFUSE("%s would block or change the connection that all routes share",
			      words[0]);
	if (n > COMMAND_WORDS_MAX)
		return REFUSE("more than %d words", COMMAND_WORDS_MAX);
	if (command_words_fault(words, why, why_len) != NULL)
		return -EINVAL;
	return (int)n;
}

CONFIG_SETTER(config_set_command)
{
	char **words;
	int rc = strings_split_words(&words, text);

	if (rc == -EINVAL)
		return REFUSE("a quote or a backslash ends nowhere: words are a shell's");
	if (rc < 0)
		return rc;
	if (words[0] != NULL && (rc = check_command(words, why, why_len)) > 0)
		rc = compile_list(key, field, words, (size_t)rc, why, why_len);
	strings_free(words);
	return rc;
}

/* A name that cannot be sent as it is, or that is ours. */
static int
refuse_event(const char *text, char *why, size_t why_len)
{
	if (strncmp(text, "stream-", strlen("stream-")) == 0)
		return REFUSE("\"%.*s\": names that begin with \"stream-\" are Sluice's own",
			      QUOTED_MAX, text);
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return REFUSE("a control byte stands in the name of an event");
	}
	return 0;
}

CONFIG_SETTER(config_set_event)
{
	int rc = refuse_event(text, why, why_len);

	return rc < 0 ? rc : config_set_template(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_event_name)
{
	int rc = refuse_event(text, why, why_len);

	(void)key;
	return rc < 0 ? rc : copy(field, text);
}

/*
 * What a browser says in Origin: scheme://host[:port], in lower case, no path, and no port that is
 * the scheme's own (RFC 6454, section 6.1). Anything else would never match.
 */
static const char *
refuse_origin(const char *text)
{
	const char *host = strstr(text, "://"), *end;
	uint64_t port;

	if (host == NULL || strspn(text, "abcdefghijklmnopqrstuvwxyz") != (size_t)(host - text) ||
	    host == text)
		return "is not scheme://host[:port], as in https://example.org";
	host += 3;
	end = host + (*host == '[' ? strcspn(host, "]") + 1
				   : strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_"));
	if (end == host || (*host == '[' && strchr(host, ']') == NULL))
		return "is not scheme://host[:port] in lower case";
	if (*end == '\0')
		return NULL;
	if (*end != ':' || units_number(&port, end + 1) < 0 || port < 1 || port > 65535)
		return "is not scheme://host[:port]: nothing stands behind the host or port";
	if ((strncmp(text, "https:", 6) == 0 && port == 443) ||
	    (strncmp(text, "http:", 5) == 0 && port == 80))
		return "names the scheme's own port, which browsers leave out";
	return NULL;
}

CONFIG_SETTER(config_set_origins)
{
	size_t n = list_len(text), len;
	const char *one, *reason;
	char **list;

	(void)key;
	if (n == 0)
		return 0;
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return -ENOMEM;
	*(char ***)field = list; /* the route's from here on */
	for (size_t i = 0; (one = strings_next(&text, &len)) != NULL; i++) {
		if ((list[i] = strndup(one, len)) == NULL)
			return -ENOMEM;
		if (strcmp(list[i], "*") == 0) {
			if (n > 1)
				return REFUSE("\"*\" stands alone");
		} else if ((reason = refuse_origin(list[i])) != NULL) {
			return REFUSE("\"%.*s\" %s", QUOTED_MAX, list[i], reason);
		}
	}
	return 0;
}

CONFIG_SETTER(config_set_names)
{
	size_t n = list_len(text), len;
	const char *one;
	char **list;

	(void)key;
	(void)why;
	(void)why_len;
	if (n == 0)
		return 0;
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return -ENOMEM;
	*(char ***)field = list; /* the route's from here on */
	for (size_t i = 0; (one = strings_next(&text, &len)) != NULL; i++) {
		if ((list[i] = strndup(one, len)) == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* "10/s", "1/5s", "10/500ms" */
CONFIG_SETTER(config_set_limit)
{
	struct pace_limit *limit = field;
	const char *slash = strchr(text, '/');
	char number[32], period[32];
	uint64_t n, ms;

	(void)key;
	if (*text == '\0' || strcmp(text, "0") == 0)
		return 0;
	snprintf(number, sizeof(number), "%.*s", slash != NULL ? (int)(slash - text) : 0, text);
	snprintf(period, sizeof(period), "%s%s",
		 slash != NULL && slash[1] >= '0' && slash[1] <= '9' ? "" : "1",
		 slash != NULL ? slash + 1 : "");
	if (units_number(&n, number) < 0 || n < 1 || n > LIMIT_MAX ||
	    units_duration(&ms, period) < 0 || ms < 1 || ms > LIMIT_PERIOD_MAX_MS)
		return REFUSE("\"%.*s\" is no number of 1 to %d in a time of 1ms to 1h, as in 10/s "
			      "or 1/5s",
			      QUOTED_MAX, text, LIMIT_MAX);
	limit->n = (unsigned)n;
	limit->period_ms = ms;
	return 0;
}
