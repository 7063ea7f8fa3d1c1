#include "quarantine.h"

#include <errno.h>
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/poison.h"
#include "redis/command.h"
#include "redis/recorded.h"
#include "redis/stream_entry.h"

enum { AGAIN_MS = 1000, OWN_FIELDS = 4, HEAD = 3 };

void
quarantine_init(struct quarantine *q, uv_loop_t *loop)
{
	*q = (struct quarantine){.loop = loop};
}

int
quarantine_set(struct quarantine *q, const char *prefix, const char *name)
{
	char *key = NULL;

	if (name != NULL && asprintf(&key, "%s%s", prefix, name) < 0)
		return -ENOMEM;
	free(q->key);
	q->key = key;
	q->prefix = prefix;
	poison_watch(key != NULL);
	return 0;
}

void
quarantine_fini(struct quarantine *q)
{
	free(q->key);
	q->key = NULL;
}

/* It comes up again, here or in another worker. */
static void
put_back(struct quarantine *q)
{
	poison_put(q->p, false);
	q->p = NULL;
	q->again_ms = uv_now(q->loop) + AGAIN_MS;
}

static void
fail(struct quarantine *q, const redisReply *reply)
{
	if (reply != NULL && q->key != NULL &&
	    logger_may(&q->log_refused, uv_now(q->loop), LOGGER_PERIOD_MS))
		logger_error("[server] quarantine: Redis refuses what belongs into %s: %s", q->key,
			     reply->type == REDIS_REPLY_ERROR ? reply->str : "an odd answer");
	put_back(q);
}

static void
on_added(void *arg, const redisReply *reply)
{
	struct quarantine *q = arg;

	if (reply == NULL || reply->type != REDIS_REPLY_STRING) {
		fail(q, reply);
		return;
	}
	logger_warn("[route %s] %s%s%s is in the quarantine%s%s as %s", q->p->route, q->p->subject,
		    q->p->id_len > 0 ? " " : "", q->p->id, q->key != NULL ? " " : "",
		    q->key != NULL ? q->key : "", reply->str);
	poison_put(q->p, true);
	q->p = NULL;
}

/* The words of an XADD. */
struct entry_words {
	const char **argv;
	size_t *lens;
	int n;
};

static void
add_word(struct entry_words *w, const char *word, size_t len)
{
	w->argv[w->n] = word;
	w->lens[w->n++] = len;
}

static void
add_text(struct entry_words *w, const char *name, const char *value)
{
	add_word(w, name, strlen(name));
	add_word(w, value, strlen(value));
}

/*
 * The entry's own fields come first, then where it comes from, as in a dead letter.
 */
static void
add_origin(struct entry_words *w, const struct poison *p)
{
	bool is_stream = p->id_len > 0 && !p->is_recorded;

	add_text(w, is_stream ? "poison-stream" : "poison-channel", p->subject);
	if (p->id_len > 0)
		add_text(w, "poison-id", p->id);
	add_text(w, "poison-route", p->route);
	add_text(w, "poison-reason", p->reason);
}

static void
add_fields(struct entry_words *w, const redisReply *fields)
{
	size_t i;

	for (i = 0; fields != NULL && i < fields->elements; i++)
		add_word(w, fields->element[i]->str, fields->element[i]->len);
}

/*
 * fields: those of the entry; NULL: it is no entry, or does not exist any more, so what was kept of
 * it is all there is.
 */
static void
put(struct quarantine *q, const redisReply *fields)
{
	size_t max = HEAD + 2 * (OWN_FIELDS + 1) + (fields != NULL ? fields->elements : 0);
	struct entry_words w = {calloc(max, sizeof(char *)), calloc(max, sizeof(size_t)), 0};
	int rc = -ENOMEM;

	/* A reload may have removed the quarantine while the entry was read. */
	if (q->key != NULL && w.argv != NULL && w.lens != NULL) {
		add_text(&w, "XADD", q->key);
		add_word(&w, "*", 1);
		add_fields(&w, fields);
		if (q->p->id_len == 0) {
			add_word(&w, "data", strlen("data"));
			add_word(&w, q->p->data, q->p->kept_len);
		}
		add_origin(&w, q->p);
		rc =
		    command_send(q->command, on_added, q, (struct resp_words){w.n, w.argv, w.lens});
	}
	free(w.argv);
	free(w.lens);
	if (rc < 0)
		put_back(q);
}

static bool
are_strings(const redisReply *fields)
{
	size_t i;

	for (i = 0; i < fields->elements; i++) {
		if (fields->element[i]->type != REDIS_REPLY_STRING)
			return false;
	}
	return true;
}

static void
on_entry(void *arg, const redisReply *reply)
{
	struct quarantine *q = arg;
	struct stream_entry entry = {.fields = NULL};

	if (reply == NULL || stream_reply_is_passing(reply)) {
		fail(q, reply);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
	    !stream_entry_parse(&entry, reply->element[0]) ||
	    entry.fields->type != REDIS_REPLY_ARRAY || !are_strings(entry.fields))
		entry.fields = NULL; /* it was trimmed meanwhile, or may not be read */
	put(q, entry.fields);
}

/* Reads the entry itself; of an entry only its place was kept. */
static void
ask_entry(struct quarantine *q)
{
	char *key;
	int rc = -ENOMEM;

	if (asprintf(&key, "%s%s%s", q->prefix, q->p->subject,
		     q->p->is_recorded ? RECORDED_SUFFIX : "") >= 0) {
		rc = command_send(q->command, on_entry, q,
				  RESP_WORDS("XRANGE", key, q->p->id, q->p->id));
		free(key);
	}
	if (rc < 0)
		put_back(q);
}

void
quarantine_look(struct quarantine *q, struct command *command)
{
	if (q->key == NULL || q->p != NULL || uv_now(q->loop) < q->again_ms ||
	    !command_is_up(command) || (q->p = poison_take()) == NULL)
		return;
	q->command = command;
	if (q->p->id_len > 0)
		ask_entry(q);
	else
		put(q, NULL);
}
