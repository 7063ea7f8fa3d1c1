#include "route/right.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "auth/bytes.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/strings.h"
#include "logic/reply.h"
#include "redis/command.h"
#include "redis/keys.h"

enum { WORDS_MAX = 64, WORD_MAX = 64 * 1024 };

/*
 * If nobody wants the answer any more, fn is NULL and the question is freed when the answer comes,
 * as it always does.
 */
struct right_question {
	right_fn fn; /* NULL: it is forgotten */
	void *arg;
};

/* No answer, or an error, does not mean that the user may not. */
static enum allowed
judge(const struct redisReply *reply)
{
	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		return UNDECIDED;
	return reply_is_true(reply) ? ALLOWED : FORBIDDEN;
}

/* Appends the word with a NUL behind it. */
static int
put_word(struct buf *b, const struct template *t, const struct request *req)
{
	struct template_value params[WORDS_MAX + 1];
	const struct template_scope scope = {.params = params, .channel = ""};
	const char *name;
	size_t n = 0;
	int rc;

	for (; n < WORDS_MAX && (name = template_param(t, n)) != NULL; n++) {
		params[n] = (struct template_value){name, request_param(req, name)};
		if (params[n].value == NULL)
			return -EINVAL;
	}
	params[n].name = NULL;
	rc = template_expand(t, &scope, b);
	return rc == 0 ? buf_putc(b, '\0') : rc;
}

/* Which words are keys is known only when all words are. */
static int
put_prefix(char **words, size_t n, const char *prefix)
{
	const char *const *argv = (const char *const *)words;
	char *with;

	for (size_t i = 1; i < n && *prefix != '\0'; i++) {
		if (!keys_is_key((int)n, argv, (int)i))
			continue;
		if (asprintf(&with, "%s%s", prefix, words[i]) < 0)
			return -ENOMEM;
		free(words[i]);
		words[i] = with;
	}
	return 0;
}

char **
right_words(const struct request *req, const char *prefix)
{
	struct template *const *t = req->route->allow_command;
	char **words = calloc(WORDS_MAX + 1, sizeof(*words));
	struct buf word;
	size_t n;
	int rc = words != NULL ? 0 : -ENOMEM;

	buf_init(&word, WORD_MAX);
	for (n = 0; rc == 0 && n < WORDS_MAX && t[n] != NULL; n++) {
		buf_truncate(&word, 0);
		if ((rc = put_word(&word, t[n], req)) == 0 && (words[n] = strdup(word.p)) == NULL)
			rc = -ENOMEM;
	}
	buf_fini(&word);
	if (rc == 0)
		rc = put_prefix(words, n, prefix);
	if (rc == 0)
		return words;
	if (words != NULL)
		strings_free(words);
	return NULL;
}

void
right_digest(unsigned char digest[RIGHT_DIGEST], char *const *words)
{
	unsigned char mac[BYTES_HMAC_MAX];

	memset(digest, 0, RIGHT_DIGEST);
	for (; *words != NULL; words++) {
		if (bytes_hmac(mac, 256, digest, RIGHT_DIGEST, *words, strlen(*words)) ==
		    RIGHT_DIGEST)
			memcpy(digest, mac, RIGHT_DIGEST);
	}
}

static void
on_reply(void *arg, const struct redisReply *reply)
{
	struct right_question *question = arg;
	static struct logger_pause pause;

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR &&
	    logger_may(&pause, clock_ms(), LOGGER_PERIOD_MS))
		logger_warn("allow_command: Redis refuses it: %s", reply->str);
	if (question->fn != NULL)
		question->fn(question->arg, judge(reply));
	free(question);
}

struct right_question *
right_ask(struct hub *hub, char *const *words, right_fn fn, void *arg)
{
	struct right_question *question;
	int n = 0;

	if (hub_command(hub) == NULL || (question = calloc(1, sizeof(*question))) == NULL)
		return NULL;
	question->fn = fn;
	question->arg = arg;
	while (words[n] != NULL)
		n++;
	if (command_send(hub_command(hub), on_reply, question,
			 (struct resp_words){n, (const char *const *)words, NULL}) == 0)
		return question;
	free(question);
	return NULL;
}

void
right_forget(struct right_question *question)
{
	if (question != NULL)
		question->fn = NULL;
}
