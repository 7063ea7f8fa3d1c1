#ifndef SLUICE_REDIS_SUBJECT_H
#define SLUICE_REDIS_SUBJECT_H

/*
 * subject - what can be followed in Redis: a table, and the only list of its kinds.
 *
 * A route has a list of templates for each, and whoever has to do with all of them goes over the
 * table. What a feed does with what comes says its source_kind (source/kinds.c).
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct redis_settings;

/* In the order in which what a route names is told, tried and followed. */
enum subject_kind {
	SUBJECT_CHANNEL,
	SUBJECT_PATTERN,
	SUBJECT_STREAM,
	SUBJECT_KEYSPACE,
	N_SUBJECT_KINDS
};

/* What Redis knows one by. */
struct subject_name {
	struct buf text;        /* NUL-terminated */
	size_t head;            /* bytes that stand before the own name in what arrives */
	enum subject_kind kind; /* as which it is followed: keys are a channel or a pattern */
};

struct subject_traits {
	const char *key;   /* of a section, with its templates */
	const char *title; /* one of them, in a line of its own */
	bool is_pattern;   /* its names may hold * and ?, which no parameter may bring */
	bool is_resumable; /* each message of it has a place from which a client can go on */
	/* What is said to Redis before the name, which it refuses who may not follow it; ends with
	 * NULL. NULL: as of the kind that its subject_name says. */
	const char *const *following;
	/*
	 * Does the work of subject_name_init(). NULL: the name in Redis is the prefix and the name.
	 */
	int (*name)(struct subject_name *out, const struct redis_settings *rs, const char *name);
};

extern const struct subject_traits subject_traits[N_SUBJECT_KINDS];

/* subject_name_init - to be given to subject_name_fini() in any case. Returns 0, -EMSGSIZE,
 * -ENOMEM. */
int subject_name_init(struct subject_name *out, enum subject_kind kind,
		      const struct redis_settings *rs, const char *name);
void subject_name_fini(struct subject_name *sn);

#endif
