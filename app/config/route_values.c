#include "config/route_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/strings.h"
#include "base/suggest.h"
#include "base/units.h"
#include "redis/command_words.h"
#include "redis/keys.h"
#include "redis/stream_id.h"
#include "route/handlers.h"
#include "route/origin.h"
#include "route/route.h"
#include "sse/event.h"

enum {
	COMMAND_WORDS_MAX = 64,
	LIMIT_MAX = 1000000,
	LIMIT_PERIOD_MAX_MS = 3600 * 1000,
	START_LAST_MAX = 100000
};

CONFIG_SETTER(config_set_path)
{
	const char *name;
	int rc = path_compile(field, text, why, why_len);

	(void)key;
	for (size_t n = 0; rc == 0 && (name = path_param(*(struct path **)field, n)) != NULL; n++) {
		if (template_is_reserved(name))
			return CONFIG_REFUSE(
			    "{%s} is reserved: in a template it stands for something of "
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
		return CONFIG_REFUSE("there is no handler \"%.*s\"; did you mean \"%s\"?",
				     CONFIG_QUOTED_MAX, text, suggest_best(&s));
	return CONFIG_REFUSE("there is no handler \"%.*s\"; there are:%s", CONFIG_QUOTED_MAX, text,
			     all);
}

CONFIG_SETTER(config_set_template)
{
	if (*text == '\0') {
		*(struct template **)field = NULL;
		return 0;
	}
	return template_compile(field, text, key->allow, why, why_len);
}

/*
 * Compiles each of n texts as a template, into a list that belongs to the route even if it is
 * incomplete.
 */
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

/* JSON stands as it is, so its braces are no names. */
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
	size_t n = strings_count(text);
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
	if (strings_count(text) > STREAM_CURSOR_MAX)
		return CONFIG_REFUSE("more than %d streams: a client's Last-Event-ID holds no more",
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
		return CONFIG_REFUSE("\"%.*s\" is neither $, 0 nor last:N with N from 1 to %d",
				     CONFIG_QUOTED_MAX, text, START_LAST_MAX);
	fs->start.last = (unsigned)n;
	return 0;
}

/* The name of the command must be fixed: no request may choose which command it is. */
static int
check_command(char *const *words, char *why, size_t why_len)
{
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	if (strchr(words[0], '{') != NULL)
		return CONFIG_REFUSE("the command itself cannot be a parameter");
	if (!keys_is_shareable(words[0]))
		return CONFIG_REFUSE(
		    "%s would block or change the connection that all routes share", words[0]);
	if (n > COMMAND_WORDS_MAX)
		return CONFIG_REFUSE("more than %d words", COMMAND_WORDS_MAX);
	if (command_words_fault(words, why, why_len) != NULL)
		return -EINVAL;
	return (int)n;
}

CONFIG_SETTER(config_set_command)
{
	char **words;
	int rc = strings_split_words(&words, text);

	if (rc == -EINVAL)
		return CONFIG_REFUSE("a quote or a backslash ends nowhere: words are a shell's");
	if (rc < 0)
		return rc;
	if (words[0] != NULL && (rc = check_command(words, why, why_len)) > 0)
		rc = compile_list(key, field, words, (size_t)rc, why, why_len);
	strings_free(words);
	return rc;
}

/* Refuses a template without names if its result could never be sent. */
static int
refuse_fault(const struct event *ev, const char *text, char *why, size_t why_len)
{
	const char *fault = strpbrk(text, "{}") == NULL ? event_fault(ev) : NULL;

	if (fault == NULL)
		return 0;
	return CONFIG_REFUSE("no event could be sent: %s", fault);
}

/* Refuses a name that cannot be sent as it is, or that only Sluice may use. */
static int
refuse_event(const char *text, char *why, size_t why_len)
{
	const struct event ev = {.type = text, .type_len = strlen(text)};

	if (strncmp(text, "stream-", strlen("stream-")) == 0)
		return CONFIG_REFUSE("\"%.*s\": names that begin with \"stream-\" are Sluice's own",
				     CONFIG_QUOTED_MAX, text);
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return CONFIG_REFUSE("a control byte stands in the name of an event");
	}
	return refuse_fault(&ev, text, why, why_len);
}

CONFIG_SETTER(config_set_event)
{
	int rc = refuse_event(text, why, why_len);

	return rc < 0 ? rc : config_set_template(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_id)
{
	const struct event ev = {.id = text, .id_len = strlen(text)};
	int rc = refuse_fault(&ev, text, why, why_len);

	if (rc == 0 && event_is_end_id(text, strlen(text)))
		return CONFIG_REFUSE("ids that end in \".end\" are Sluice's own");
	return rc < 0 ? rc : config_set_template(key, field, text, why, why_len);
}

CONFIG_SETTER(config_set_event_name)
{
	int rc = refuse_event(text, why, why_len);

	(void)key;
	return rc < 0 ? rc : config_copy(field, text);
}

/*
 * An Origin as browsers send it: scheme://host[:port], in lower case, without a path, and without
 * the scheme's default port (RFC 6454, section 6.1). Anything else would never match.
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

CONFIG_SETTER(config_set_names)
{
	size_t n = strings_count(text), len;
	const char *one;
	char **list;

	(void)key;
	if (n == 0)
		return *text == '\0'
			   ? 0
			   : CONFIG_REFUSE("it is empty: nothing stands between the commas");
	if ((list = calloc(n + 1, sizeof(*list))) == NULL)
		return -ENOMEM;
	*(char ***)field = list; /* the route's from here on */
	for (size_t i = 0; (one = strings_next(&text, &len)) != NULL; i++) {
		if ((list[i] = strndup(one, len)) == NULL)
			return -ENOMEM;
	}
	return 0;
}

CONFIG_SETTER(config_set_origins)
{
	int rc = config_set_names(key, field, text, why, why_len);
	char **list = *(char ***)field; /* NULL: the value is empty */
	const char *reason;

	for (size_t i = 0; rc == 0 && list != NULL && list[i] != NULL; i++) {
		if (strcmp(list[i], "*") == 0) {
			if (i > 0 || list[1] != NULL)
				return CONFIG_REFUSE("\"*\" stands alone");
		} else if ((reason = refuse_origin(list[i])) != NULL) {
			return CONFIG_REFUSE("\"%.*s\" %s", CONFIG_QUOTED_MAX, list[i], reason);
		}
	}
	return rc;
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
		return CONFIG_REFUSE(
		    "\"%.*s\" is no number of 1 to %d in a time of 1ms to 1h, as in 10/s "
		    "or 1/5s",
		    CONFIG_QUOTED_MAX, text, LIMIT_MAX);
	limit->n = (unsigned)n;
	limit->period_ms = ms;
	return 0;
}
