/*
 * emit - publish one event.
 */
#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json_text.h"
#include "cli/subcommand.h"
#include "config/config.h"
#include "redis/direct.h"
#include "redis/publish_argv.h"
#include "sse/utf8.h"

#define EMIT_MAX ((size_t)64 << 20) /* far more than Redis would forward to anybody */

const char *
command_refuse_json(const char *text, size_t len, size_t *at)
{
	static const char *const flaws[] = {
	    [JSON_BROKEN] = "no JSON value goes on like this",
	    [JSON_TOO_DEEP] = "it is nested more than 64 deep",
	    [JSON_NUL_NAME] = "this name holds \\u0000",
	    [JSON_LONE_SURROGATE] = "a \\u escape is half of a surrogate pair",
	};
	size_t n_valid, n_blank = 0;
	enum json_flaw flaw;

	while (n_blank < len && memchr(" \t\r\n", text[n_blank], 4) != NULL)
		n_blank++;
	*at = 0;
	if (n_blank == len)
		return "there is nothing";
	n_valid = utf8_valid_len(text, len);
	flaw = json_text_flaw(text, len, at);
	if (n_valid < len && n_valid < *at) {
		*at = n_valid;
		return "this is no UTF-8";
	}
	return flaw == JSON_BROKEN && *at == len ? "it ends too early" : flaws[flaw];
}

/* Reads all of standard input. Returns 0, -1 having printed why not. */
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
			buf_grow(b, (size_t)n);
		} else if (errno != EINTR) {
			perror("sluice emit: standard input");
			return -1;
		}
	}
}

/* Those that a shell or an editor ends a text with; within the event they would be lines of data.
 */
static void
drop_line_ends(struct buf *b)
{
	while (b->len > 0 && (b->p[b->len - 1] == '\n' || b->p[b->len - 1] == '\r'))
		b->len--;
}

/* Prints Redis's answer: how many got it, or its ID. */
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

static int
publish(const struct config *cfg, const char *name, bool is_stream, const char *text, size_t len)
{
	const struct redis_settings *rs = &cfg->redis;
	struct publish_what what = {
	    .redis = rs,
	    .name = name,
	    .data = text,
	    .len = len,
	};
	struct publish_argv words;
	struct redisReply *reply = NULL;
	char why[512] = "";
	unsigned n_kept = 0;
	int status = 1;

	for (size_t i = 0; !is_stream && i < cfg->n_routes; i++)
		n_kept = route_records(cfg->routes[i], name, n_kept);
	what.kind = publish_kind(is_stream, n_kept);
	what.n_kept = n_kept;
	if (publish_argv(&words, &what) < 0)
		fputs("sluice emit: out of memory\n", stderr);
	else if (redis_direct(rs, publish_words(&words), &reply, why, sizeof(why)) < 0)
		fprintf(stderr, "sluice emit: %s\n", why);
	else
		status = tell(reply);
	freeReplyObject(reply);
	publish_argv_fini(&words);
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

	if (*args[0] == '\0')
		return command_refuse(opt, "the channel's name is empty");
	buf_init(&json, EMIT_MAX + 65536);
	if (config_load(&cfg, opt->config, stderr) < 0)
		goto out;
	if (strcmp(args[1], "-") == 0) {
		if (read_input(&json) < 0)
			goto out;
		drop_line_ends(&json);
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

const struct subcommand emit_command = {
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
