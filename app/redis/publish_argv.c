#include "redis/publish_argv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/beside.h"
#include "redis/idempotency.h"
#include "redis/recorded.h"

/* A client that got no answer repeats its request within a day. */
#define IDEMPOTENCY_KEPT_MS "86400000"

static void
add_bytes(struct publish_argv *w, const char *p, size_t len)
{
	w->argv[w->argc] = p != NULL ? p : "";
	w->lens[w->argc++] = len;
}

static void
add(struct publish_argv *w, const char *text)
{
	add_bytes(w, text, strlen(text));
}

/* Adds a text that another function has made; NULL: out of memory. */
static void
add_owned(struct publish_argv *w, char *text)
{
	w->made[w->n_made++] = text;
	add(w, text != NULL ? text : "");
}

/* Adds the command by which the script publishes, if that is not PUBLISH. */
static void
add_verb(struct publish_argv *w, const struct publish_what *what)
{
	if (what->redis->is_sharded)
		add(w, redis_publish_verb(what->redis));
}

/* If memory is short, the text is NULL, which is found at the end. */
__attribute__((format(printf, 2, 3))) static void
add_made(struct publish_argv *w, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	add_owned(w, text);
}

static void
add_count(struct publish_argv *w, const struct publish_what *what)
{
	add_made(w, "%llu", (unsigned long long)what->n_kept);
}

static char *
kept_answer_key(const struct publish_what *what)
{
	char *suffix, *key;

	if (asprintf(&suffix, IDEMPOTENCY_INFIX "%s", what->idempotency_key) < 0)
		return NULL;
	key = redis_beside(what->redis, what->name, suffix);
	free(suffix);
	return key;
}

/* It is one script, so that a repetition finds either everything done or nothing. */
static void
add_idempotent(struct publish_argv *w, const struct publish_what *what)
{
	static const char *const kinds[] = {
	    [PUBLISH_CHANNEL] = "channel",
	    [PUBLISH_STREAM] = "stream",
	    [PUBLISH_RECORDED] = "recorded",
	};
	const char *log = what->kind == PUBLISH_RECORDED ? RECORDED_SUFFIX : "";

	add(w, "EVAL");
	add(w, IDEMPOTENCY_SCRIPT);
	add(w, "3");
	add_made(w, "%s%s", what->redis->prefix, what->name);
	add_owned(w, kept_answer_key(what));
	add_made(w, "%s%s%s", what->redis->prefix, what->name, log);
	add_bytes(w, what->data, what->len);
	add(w, IDEMPOTENCY_KEPT_MS);
	add(w, kinds[what->kind]);
	add_count(w, what);
	add_bytes(w, what->body, what->body_len);
	add_verb(w, what);
}

/* Publishes to the channel and adds to its log, in one step. */
static void
say_to_both(struct publish_argv *w, const struct publish_what *what)
{
	add(w, "EVAL");
	add(w, RECORDED_SCRIPT);
	add(w, "2");
	add_made(w, "%s%s", what->redis->prefix, what->name);
	add_made(w, "%s%s" RECORDED_SUFFIX, what->redis->prefix, what->name);
	add_bytes(w, what->data, what->len);
	add_count(w, what);
	add_verb(w, what);
}

static void
say_to_stream(struct publish_argv *w, const struct publish_what *what)
{
	add(w, "XADD");
	add_made(w, "%s%s", what->redis->prefix, what->name);
	if (what->n_kept > 0) {
		add(w, "MAXLEN");
		add(w, "~");
		add_count(w, what);
	}
	add(w, "*");
	add(w, "data");
	add_bytes(w, what->data, what->len);
}

static void
say_to_channel(struct publish_argv *w, const struct publish_what *what)
{
	add(w, redis_publish_verb(what->redis));
	add_made(w, "%s%s", what->redis->prefix, what->name);
	add_bytes(w, what->data, what->len);
}

enum publish_kind
publish_kind(bool is_stream, unsigned n_recorded)
{
	if (is_stream)
		return PUBLISH_STREAM;
	return n_recorded > 0 ? PUBLISH_RECORDED : PUBLISH_CHANNEL;
}

int
publish_argv(struct publish_argv *out, const struct publish_what *what)
{
	static void (*const say[])(struct publish_argv * w, const struct publish_what *what) = {
	    [PUBLISH_CHANNEL] = say_to_channel,
	    [PUBLISH_STREAM] = say_to_stream,
	    [PUBLISH_RECORDED] = say_to_both,
	};

	*out = (struct publish_argv){.argc = 0};
	if (what->idempotency_key != NULL)
		add_idempotent(out, what);
	else
		say[what->kind](out, what);
	for (int i = 0; i < out->n_made; i++) {
		if (out->made[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

void
publish_argv_fini(struct publish_argv *words)
{
	while (words->n_made > 0)
		free(words->made[--words->n_made]);
}
