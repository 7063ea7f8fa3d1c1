#include "cli/needs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "redis/beside.h"
#include "redis/keys.h"
#include "redis/recorded.h"

enum { PARAMS_MAX = 32, NAME_LEN = 2048, ARGS_MAX = 10 };

/* The numbers of the commands that are refused. A Redis that does not know one refuses nothing. */
static const char script[] =
    "local refused, at, n = {}, 1, 0\n"
    "while redis.acl_check_cmd and ARGV[at] do\n"
    "	local last = at + tonumber(ARGV[at])\n"
    "	local is_known, may = pcall(redis.acl_check_cmd, unpack(ARGV, at + 1, last))\n"
    "	if is_known and not may then refused[#refused + 1] = n end\n"
    "	at, n = last + 1, n + 1\n"
    "end\n"
    "return refused\n";

/* What it is said for: a stream, a log beside a channel, and so on. */
enum need {
	NEED_STREAM,
	NEED_LOG,
	NEED_QUEUE,
	NEED_DEAD_LETTER,
	NEED_TO_CHANNEL,
	NEED_TO_SHARDED,
	NEED_TO_LOG,
	NEED_TO_STREAM,
	NEED_SESSION
};

static const char NAME[] = "%";

static const struct {
	enum need need;
	const char *words[ARGS_MAX];
} commands[] = {
    {NEED_STREAM, {"XREAD", "STREAMS", NAME, "0"}},
    {NEED_STREAM, {"XRANGE", NAME, "-", "+"}},
    {NEED_STREAM, {"XREVRANGE", NAME, "+", "-"}},
    {NEED_LOG, {"XRANGE", NAME, "-", "+"}},
    {NEED_LOG, {"XREVRANGE", NAME, "+", "-"}},
    {NEED_QUEUE, {"XREADGROUP", "GROUP", "group", "consumer", "STREAMS", NAME, ">"}},
    {NEED_QUEUE, {"XACK", NAME, "group", "0-1"}},
    {NEED_QUEUE, {"XCLAIM", NAME, "group", "consumer", "0", "0-1"}},
    {NEED_QUEUE, {"XPENDING", NAME, "group"}},
    {NEED_QUEUE, {"XGROUP", "CREATE", NAME, "group", "$"}},
    {NEED_QUEUE, {"XGROUP", "DELCONSUMER", NAME, "group", "consumer"}},
    {NEED_QUEUE, {"XINFO", "CONSUMERS", NAME, "group"}},
    {NEED_DEAD_LETTER, {"XADD", NAME, "*", "data", ""}},
    {NEED_TO_CHANNEL, {"PUBLISH", NAME, ""}},
    {NEED_TO_SHARDED, {"SPUBLISH", NAME, ""}},
    {NEED_TO_LOG, {"XADD", NAME, "*", "data", ""}},
    {NEED_TO_STREAM, {"XADD", NAME, "*", "data", ""}},
    {NEED_SESSION, {"GET", NAME}},
};

int
needs_expand(const struct template *t, const char *prefix, struct buf *out)
{
	struct template_value values[PARAMS_MAX + 1] = {{NULL, NULL}};
	const struct template_scope scope = {.params = values, .channel = ""};
	const char *name;

	for (size_t n = 0; n < PARAMS_MAX && (name = template_param(t, n)) != NULL; n++)
		values[n] = (struct template_value){name, name};
	buf_truncate(out, 0);
	if (buf_puts(out, prefix) < 0 || template_expand(t, &scope, out) < 0)
		return -1;
	return buf_putc(out, '\0');
}

static int
add_word(struct needs *needs, const char *prefix, const char *word)
{
	char **place = &needs->words[needs->n_words];

	if (asprintf(place, "%s%s", prefix, word) < 0) {
		*place = NULL;
		return -ENOMEM;
	}
	needs->n_words++;
	return 0;
}

static int
add_command(struct needs *needs, int argc, const char *const *argv, const char *prefix)
{
	char count[16];
	int rc;

	if (needs->n_words + 1 + argc > NEEDS_WORDS_MAX)
		return -E2BIG;
	snprintf(count, sizeof(count), "%d", argc);
	rc = add_word(needs, "", count);
	for (int i = 0; i < argc && rc == 0; i++)
		rc = add_word(needs, keys_is_key(argc, argv, i) ? prefix : "", argv[i]);
	needs->n_commands += rc == 0;
	return rc;
}

/* All that is said for this. */
static int
add_all(struct needs *needs, enum need need, const char *name)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && rc == 0; i++) {
		const char *argv[ARGS_MAX];
		int argc;

		if (commands[i].need != need)
			continue;
		for (argc = 0; argc < ARGS_MAX && commands[i].words[argc] != NULL; argc++)
			argv[argc] =
			    commands[i].words[argc] == NAME ? name : commands[i].words[argc];
		rc = add_command(needs, argc, argv, "");
	}
	return rc;
}

static int
add_name(struct needs *needs, enum need need, const struct template *t, const char *suffix)
{
	struct buf b;
	int rc;

	if (t == NULL)
		return 0;
	buf_init(&b, NAME_LEN);
	if ((rc = needs_expand(t, needs->cfg->redis.prefix, &b)) == 0) {
		buf_truncate(&b, b.len - 1);
		if ((rc = buf_puts(&b, suffix)) == 0 && (rc = buf_putc(&b, '\0')) == 0)
			rc = add_all(needs, need, b.p);
	}
	buf_fini(&b);
	return rc;
}

static int
add_names(struct needs *needs, enum need need, struct template *const *names, const char *suffix)
{
	int rc = 0;

	for (; names != NULL && *names != NULL && rc == 0; names++)
		rc = add_name(needs, need, *names, suffix);
	return rc;
}

/* What the configuration itself says to Redis: a snapshot, allow_command. */
static int
add_configured(struct needs *needs, struct template *const *words)
{
	const char *argv[ARGS_MAX];
	struct buf texts[ARGS_MAX];
	int argc = 0, rc = 0;

	for (; words != NULL && words[argc] != NULL && argc < ARGS_MAX && rc == 0; argc++) {
		buf_init(&texts[argc], NAME_LEN);
		rc = needs_expand(words[argc], "", &texts[argc]);
		argv[argc] = texts[argc].p;
	}
	if (argc > 0 && rc == 0 && words[argc] == NULL)
		rc = add_command(needs, argc, argv, needs->cfg->redis.prefix);
	while (argc > 0)
		buf_fini(&texts[--argc]);
	return rc;
}

static int
add_publishing(struct needs *needs, const struct route *rt)
{
	const struct publish *p = &rt->publish;
	enum need to = needs->cfg->redis.is_sharded ? NEED_TO_SHARDED : NEED_TO_CHANNEL;
	bool is_recorded = p->channel != NULL && rt->stream.record > 0;
	int rc;

	needs->needs_eval |= is_recorded; /* channel and log as one */
	if ((rc = add_name(needs, to, p->channel, "")) < 0 ||
	    (is_recorded && (rc = add_name(needs, NEED_TO_LOG, p->channel, RECORDED_SUFFIX)) < 0))
		return rc;
	return add_name(needs, NEED_TO_STREAM, p->stream, "");
}

static int
begin(struct needs *needs, const struct config *cfg)
{
	static const char *const words[] = {"EVAL", script, "0"};
	int rc = 0;

	*needs = (struct needs){.cfg = cfg};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && rc == 0; i++)
		rc = add_word(needs, "", words[i]);
	return rc;
}

static int
add_queue(struct needs *needs, const struct route *rt)
{
	const struct template *dead =
	    handler_setting_template(&rt->stream.handler_settings, "dead_letter");
	int rc = add_names(needs, NEED_QUEUE, rt->subjects[SUBJECT_STREAM], "");

	needs->needs_eval = true;
	return rc < 0 ? rc : add_name(needs, NEED_DEAD_LETTER, dead, "");
}

static int
add_following(struct needs *needs, const struct route *rt)
{
	int rc = add_names(needs, NEED_STREAM, rt->subjects[SUBJECT_STREAM], "");

	if (rc < 0 || rt->stream.record == 0)
		return rc;
	return add_names(needs, NEED_LOG, rt->subjects[SUBJECT_CHANNEL], RECORDED_SUFFIX);
}

int
needs_of_route(struct needs *out, const struct config *cfg, const struct route *rt)
{
	bool is_queue = rt->handler->kind == HANDLER_QUEUE;
	int rc;

	if ((rc = begin(out, cfg)) < 0 ||
	    (rc = is_queue ? add_queue(out, rt) : add_following(out, rt)) < 0 ||
	    (rc = add_publishing(out, rt)) < 0 ||
	    (rc = add_configured(out, rt->stream.snapshot)) < 0)
		return rc;
	return add_configured(out, rt->allow_command);
}

int
needs_of_sessions(struct needs *out, const struct config *cfg)
{
	int rc = begin(out, cfg);

	return rc < 0 ? rc : add_name(out, NEED_SESSION, cfg->auth.session_key, "");
}

void
needs_fini(struct needs *needs)
{
	while (needs->n_words > 0)
		free(needs->words[--needs->n_words]);
}

static int
count_at(const struct needs *needs, int at)
{
	return (int)strtol(needs->words[at], NULL, 10);
}

/* The first three words are EVAL, the script and 0; the commands stand behind them. */
bool
needs_print(const struct needs *needs, int n, char *out, size_t len)
{
	int at = 3, argc;
	size_t used = 0;

	for (; at < needs->n_words && n > 0; n--)
		at += 1 + count_at(needs, at);
	if (at >= needs->n_words || n < 0)
		return false;
	argc = count_at(needs, at);
	for (int i = 1; i <= argc && used < len; i++)
		used += (size_t)snprintf(out + used, len - used, "%s%s", i > 1 ? " " : "",
					 needs->words[at + i]);
	return true;
}
