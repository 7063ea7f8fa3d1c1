/*
 * emit - publish one event.
 */
#include <errno.h>
#include <hiredis.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/command.h"
#include "config/config.h"
#include "redis/direct.h"
#include "redis/recorded.h"

#define EMIT_MAX ((size_t)64 << 20) /* far above what Redis would forward to anybody */

static bool
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* The length of true, false, null or a number's "e" at p; 0 for another word. */
static size_t
word_len(const char *p, size_t len, bool in_number)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t n = 0;

	while (n < len && ((p[n] | 0x20) >= 'a' && (p[n] | 0x20) <= 'z'))
		n++;
	for (size_t i = 0; i < 3; i++) {
		if (n == strlen(words[i]) && memcmp(p, words[i], n) == 0)
			return n;
	}
	return n == 1 && in_number && (*p == 'e' || *p == 'E') ? 1 : 0;
}

/*
 * json-c lets pass what RFC 8259 does not: 'a', NaN, comments, TRUE, [1,], control bytes in a
 * string. Its strict mode refuses bytes above 127 in some versions. So these are looked for here.
 */
static const char *
refuse_leniency(const char *text, size_t len, size_t *at)
{
	bool in_string = false;
	char last = '\0'; /* the one before, blanks left out */

	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		size_t n = 1;

		*at = i;
		if (in_string) {
			if ((unsigned char)c < 0x20)
				return "a control byte stands in a string";
			i += c == '\\';
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		if (is_one_of(c, "}]") && last == ',')
			return "a comma stands before the end";
		if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
			n = word_len(text + i, len - i, last >= '0' && last <= '9');
		else if (!is_one_of(c, "{}[]:,\" \t\r\n+-.0123456789"))
			n = 0;
		if (n == 0 || (c == '+' && last != 'e' && last != 'E'))
			return "no JSON value looks like this";
		i += n - 1;
		if (!is_one_of(c, " \t\r\n"))
			last = text[i];
	}
	return NULL;
}

const char *
command_refuse_json(const char *text, size_t len, size_t *at)
{
	struct json_tokener *tok;
	struct json_object *value;
	enum json_tokener_error error;
	const char *why;

	*at = 0;
	while (len > 0 && is_one_of(text[len - 1], " \t\r\n"))
		len--;
	if (len == 0)
		return "there is nothing";
	if (len > EMIT_MAX)
		return "too large";
	if ((why = refuse_leniency(text, len, at)) != NULL)
		return why;
	if ((tok = json_tokener_new_ex(512)) == NULL)
		return "out of memory";
	json_tokener_set_flags(tok, JSON_TOKENER_VALIDATE_UTF8);
	value = json_tokener_parse_ex(tok, text, (int)len);
	error = json_tokener_get_error(tok);
	*at = json_tokener_get_parse_end(tok);
	if (error == json_tokener_continue) { /* a bare number may go on */
		json_object_put(value);
		value = json_tokener_parse_ex(tok, "", 1);
		error = json_tokener_get_error(tok);
	}
	json_object_put(value);
	json_tokener_free(tok);
	if (error == json_tokener_continue)
		return "it ends too early";
	if (error != json_tokener_success)
		return json_tokener_error_desc(error);
	return *at < len ? "something stands behind the value" : NULL;
}

/* All of standard input. Returns 0, -1 having told why. */
static int
read_input(struct buf *b)
{
	ssize_t n;
	int rc;

	for (;;) {
		if ((rc = buf_reserve(b, 65536)) < 0) {
			fprintf(stderr, "sluice emit: %s\n",
				rc == -EMSGSIZE ? "more than 64 MiB" : "out of memory");
			return -1;
		}
		if ((n = read(STDIN_FILENO, b->p + b->len, 65536)) == 0)
			return 0;
		if (n > 0) {
			b->len += (size_t)n;
		} else if (errno != EINTR) {
			perror("sluice emit: standard input");
			return -1;
		}
	}
}

/* What Redis said: how many got it, or the ID that it has. */
static int
tell(const struct redisReply *reply)
{
	const struct redisReply *id = reply;

	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
		id = reply->element[0];
	if (reply->type == REDIS_REPLY_INTEGER) {
		printf("%lld receiver%s\n", reply->integer, reply->integer == 1 ? "" : "s");
	} else if (id->type == REDIS_REPLY_STRING) {
		printf("%s\n", id->str);
	} else {
		fprintf(stderr, "sluice emit: Redis says: %s\n",
			reply->type == REDIS_REPLY_ERROR ? reply->str : "something unexpected");
		return 1;
	}
	return 0;
}

/* How many messages of the channel are kept, by any route; 0: it is not recorded. */
static unsigned
records(const struct config *cfg, const char *channel)
{
	unsigned n, most = 0;

	for (size_t i = 0; i < cfg->n_routes; i++) {
		if ((n = route_records(cfg->routes[i], channel)) > most)
			most = n;
	}
	return most;
}

static int
publish(const struct config *cfg, const char *name, bool is_stream, const char *text, size_t len)
{
	const struct redis_settings *rs = &cfg->redis;
	unsigned keep = is_stream ? 0 : records(cfg, name);
	char *full = NULL, *log = NULL, count[16], why[512] = "";
	const char *argv[7] = {"PUBLISH"};
	struct redisReply *reply = NULL;
	size_t lens[7];
	int argc = 1, data, status = 1;

	if (asprintf(&full, "%s%s", rs->prefix, name) < 0 ||
	    asprintf(&log, "%s" RECORDED_SUFFIX, full) < 0) {
		fputs("sluice emit: out of memory\n", stderr);
		goto out;
	}
	if (keep > 0) {
		argv[0] = "EVAL";
		argv[argc++] = RECORDED_SCRIPT;
		argv[argc++] = "2";
	} else if (is_stream) {
		argv[0] = "XADD";
	}
	argv[argc++] = full;
	if (keep > 0)
		argv[argc++] = log;
	if (is_stream) {
		argv[argc++] = "*";
		argv[argc++] = "data";
	}
	data = argc;
	argv[argc++] = text;
	if (keep > 0) {
		snprintf(count, sizeof(count), "%u", keep);
		argv[argc++] = count;
	}
	for (int i = 0; i < argc; i++)
		lens[i] = i == data ? len : strlen(argv[i]);
	if (redis_direct(rs, argc, argv, lens, &reply, why, sizeof(why)) < 0)
		fprintf(stderr, "sluice emit: %s\n", why);
	else
		status = tell(reply);
out:
	freeReplyObject(reply);
	free(full);
	free(log);
	return status;
}

static int
run(const struct options *opt, char **args)
{
	struct config *cfg = NULL;
	struct buf json;
	const char *why;
	int status = 1;
	size_t at;

	buf_init(&json, EMIT_MAX + 65536);
	if (config_load(&cfg, opt->config, stderr) < 0)
		goto out;
	if (strcmp(args[1], "-") == 0) {
		if (read_input(&json) < 0)
			goto out;
	} else if (buf_puts(&json, args[1]) < 0) {
		fputs("sluice emit: out of memory\n", stderr);
		goto out;
	}
	if ((why = command_refuse_json(json.p, json.len, &at)) != NULL)
		fprintf(stderr, "sluice emit: not JSON: %s, at byte %zu\n", why, at + 1);
	else
		status = publish(cfg, args[0], opt->is_stream, json.p, json.len);
out:
	buf_fini(&json);
	config_free(cfg);
	return status;
}

const struct command emit_command = {
    .name = "emit",
    .synopsis = "[-c FILE] [--stream] CHANNEL JSON|-",
    .help = "Publishes one event on a channel of the configured Redis, the configured prefix "
	    "before it,\n"
	    "and prints how many subscriptions got it. If a route records the channel, it is kept "
	    "in the\n"
	    "channel's log, too, and its ID is printed. --stream adds it to a stream of that name "
	    "instead.\n"
	    "\"-\" reads the JSON from standard input.\n",
    .takes = "cs",
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
