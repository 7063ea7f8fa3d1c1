#ifndef SLUICE_REDIS_PUBLISH_ARGV_H
#define SLUICE_REDIS_PUBLISH_ARGV_H

/*
 * publish_argv - makes the one command that publishes a message. A POST, `sluice emit` and others
 * use it, so all of them write the same entries. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/resp.h"
#include "redis/settings.h"

enum publish_kind {
	PUBLISH_CHANNEL,
	PUBLISH_STREAM,  /* its field "data" */
	PUBLISH_RECORDED /* a channel and its log, in one step (redis/recorded.h) */
};

/* All is borrowed. */
struct publish_what {
	enum publish_kind kind;
	const struct redis_settings *redis;
	const char *name; /* of the channel or stream, without the prefix */
	const char *data; /* NULL if len is 0 */
	size_t len;
	uint64_t n_kept;             /* about how many entries the stream or log keeps; 0: all */
	const char *idempotency_key; /* the publisher's key for this message (redis/idempotency.h);
					NULL: it has none */
	const char *body; /* and what the client sent, by which a repetition is recognised */
	size_t body_len;
};

struct publish_argv {
	const char *argv[14]; /* some of it points into publish_what */
	size_t lens[14];
	int argc;
	char *made[5]; /* those that are owned */
	int n_made;
};

/* publish_kind - n_recorded: how many messages of a channel are kept; 0: it is not recorded. */
enum publish_kind publish_kind(bool is_stream, unsigned n_recorded);

int publish_argv(struct publish_argv *out, const struct publish_what *what); /* 0, -ENOMEM */
void publish_argv_fini(struct publish_argv *words);

static inline struct resp_words
publish_words(const struct publish_argv *w)
{
	return (struct resp_words){w->argc, w->argv, w->lens};
}

#endif
